"use strict";
// What belongs here: filters, tables, tiles and themes. What does not: figures, what a chart shows.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const at = (id) => document.getElementById(id);
const data = read("data");
const specs = read("specs");
const records = ({ names, rows }) =>
  rows.map((row) => Object.fromEntries(names.map((name, place) => [name, row[place]])));
const panels = Object.fromEntries(
  ["sales", "left_out", "open", "lead_times", "lead_medians", "quality"].map((name) => [
    name, records(data[name]),
  ]));
const PANEL_OF = { orders: "sales", value: "sales", status: "open", waits: "open", lead: "lead_times" };
const AGES = ["under 1 week", "1 to 4 weeks", "4 to 13 weeks", "over 13 weeks", "not known"];
const STEPS = ["allocated", "shipped", "delivered"];
const DURATIONS = ["under 4 h", "4 to 24 h", "1 to 2 days", "2 to 4 days", "4 to 7 days",
  "1 to 2 weeks", "2 to 4 weeks", "over 4 weeks"];
const views = {};

const whole = new Intl.NumberFormat("en-GB");
const cents = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const words = (text) => String(text).replaceAll("_", " ");
const total = (rows, field) => rows.reduce((sum, row) => sum + (row[field] ?? 0), 0);
const plural = (count, word) => `${whole.format(count)} ${word}${count === 1 ? "" : "s"}`;

function duration(hours) {
  if (hours === null) return "–";
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
}

function chosen(panel) {
  const account = at("account").value;
  return panels[panel].filter((row) => account === "" || row.account === account);
}

// Tables: columns are [title, kind, of row]; kind is "text", "number", "count" or "state".
function cell(kind, value) {
  const made = document.createElement(kind === "head" ? "th" : "td");
  if (kind === "head") made.scope = "row";
  if (kind === "state") {
    const badge = document.createElement("span");
    badge.className = `state ${value.split(" ")[0]}`;
    badge.textContent = value;
    made.append(badge);
    return made;
  }
  if (kind === "number" || kind === "count") made.classList.add("number");
  if (kind === "count") made.classList.add(value ? "some" : "none");
  made.textContent = kind === "count" ? whole.format(value) : value;
  return made;
}

function fill(id, columns, rows, foot) {
  const table = at(`${id}-table`);
  const head = document.createElement("tr");
  for (const [title, kind] of columns) {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = title;
    if (kind === "number" || kind === "count") th.className = "number";
    head.append(th);
  }
  const line = (row) => {
    const tr = document.createElement("tr");
    tr.append(...columns.map(([, kind, of]) => cell(kind, of(row))));
    return tr;
  };
  table.replaceChildren(document.createElement("thead"), document.createElement("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...rows.map(line));
  if (rows.length === 0) {
    const none = table.tBodies[0].insertRow().insertCell();
    none.colSpan = columns.length;
    none.className = "none";
    none.textContent = "Nothing to show.";
  }
  if (foot && rows.length > 1) table.createTFoot().append(line(foot));
}

function grouped(rows, keys, fields) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(keys.map((name) => row[name]));
    const group = groups.get(key) ?? Object.fromEntries(
      [...keys.map((name) => [name, row[name]]), ...fields.map((name) => [name, 0])]);
    for (const name of fields) group[name] += row[name] ?? 0;
    groups.set(key, group);
  }
  return [...groups.values()];
}

function showSales() {
  const currency = at("currency").value;
  const sales = chosen("sales").filter((row) => row.week >= at("since").value);
  const weeks = at("since").selectedOptions[0].text;
  at("value-title").textContent = currency ? `Value a week, ${currency}` : "Value a week";
  const valued = sales.filter((row) => row.currency === currency && row.amount !== null);
  const orders = sales.filter((row) => row.kind === "orders");
  const credits = -total(sales.filter((row) => row.kind === "credits"), "orders");
  at("tile-orders").textContent = whole.format(total(orders, "orders"));
  at("tile-orders-note").textContent = `and ${plural(credits, "credit")}, last ${weeks}`;
  at("tile-value").textContent = valued.length ? `${whole.format(Math.round(total(valued, "amount")))} ${currency}` : "–";
  at("tile-value-note").textContent = valued.length ? "with tax, less credits" : "no amounts known";
  const left = chosen("left_out");
  const earlier = total(left, "sales") - total(orders, "orders") - credits;
  at("sales-note").textContent =
    `Not shown: ${plural(earlier, "sale")} before these ${weeks}, ${plural(total(left, "purchases"), "purchase")}.`;
  const byWeek = (rows, fields) => grouped(rows, ["week", "source", "kind"], fields).reverse();
  const shared = [["Week of", "head", (row) => row.week], ["Source", "text", (row) => row.source],
    ["Kind", "text", (row) => row.kind]];
  fill("orders", [...shared, ["Orders", "number", (row) => whole.format(row.orders)]],
    byWeek(sales, ["orders"]));
  fill("value", [...shared, [currency, "number", (row) => cents.format(row.amount)]],
    byWeek(valued, ["amount"]));
  return { orders: sales.length, value: valued.length };
}

function showOpen() {
  const open = chosen("open");
  const old = total(open.filter((row) => row.age === "over 13 weeks"), "orders");
  at("tile-open").textContent = whole.format(total(open, "orders"));
  at("tile-open-note").textContent = `${whole.format(old)} older than 13 weeks`;
  for (const [id, field, title] of [["status", "status", "Status"], ["waits", "waits_for", "Waits for"]]) {
    const rows = grouped(open, [field], ["orders"]).sort((one, other) => other.orders - one.orders);
    const aged = (row, age) => total(open.filter((each) => each[field] === row[field] && each.age === age), "orders");
    fill(id, [[title, "head", (row) => words(row[field])],
      ...AGES.map((age) => [age, "number", (row) => whole.format(aged(row, age))]),
      ["All", "number", (row) => whole.format(row.orders)]], rows);
  }
  return { status: open.length, waits: open.length };
}

function showLeadTimes() {
  const lead = chosen("lead_times");
  const took = (step, text) => total(lead.filter((row) => row.step === step && row.duration === text), "orders");
  fill("lead", [["Took", "head", (row) => row],
    ...STEPS.map((step) => [words(step), "number", (row) => whole.format(took(step, row))])], DURATIONS);
  const account = at("account").value;
  const medians = panels.lead_medians.filter((row) => account === "" || row.account === account)
    .sort((one, other) => STEPS.indexOf(one.step) - STEPS.indexOf(other.step) || (one.account < other.account ? -1 : 1));
  fill("medians", [["From placing to", "head", (row) => row.step],
    ["Account", "text", (row) => row.account || "all accounts"],
    ["Orders", "number", (row) => whole.format(row.orders)],
    ["Median", "number", (row) => duration(row.median)],
    ["Ninth decile", "number", (row) => duration(row.ninth_decile)]], medians);
  return { lead: lead.length };
}

function showTrust() {
  const columns = [["Orders", "orders"], ["Totals differ from rows", "totals_mismatch"],
    ["Totals not checkable", "totals_not_checkable"], ["Status unknown", "unknown_status"],
    ["Payment unknown", "unknown_payment"], ["Shipping unknown", "unknown_shipping"],
    ["Held in quarantine", "held_orders"], ["Fields not read", "unread_fields"],
    ["Drift: fields, types, codes", "drift"], ["Deletion suspected", "suspected_deletions"],
    ["Rows missing or stale", "rows_not_current"]];
  const rows = chosen("quality");
  const sum = Object.fromEntries(columns.map(([, field]) => [field, total(rows, field)]));
  fill("quality", [["Account", "head", (row) => row.account],
    ...columns.map(([title, field]) => field === "orders"
      ? [title, "number", (row) => whole.format(row.orders)] : [title, "count", (row) => row[field]])],
  rows, { account: "All", ...sum });
  at("tile-quality").textContent = whole.format(sum.totals_mismatch + sum.held_orders);
  at("tile-quality-note").textContent =
    `${whole.format(sum.totals_mismatch)} totals differ, ${whole.format(sum.held_orders)} in quarantine`;
  const account = at("account").value;
  const states = data.freshness.filter((row) => account === "" || row.account === account);
  fill("freshness", [["Account", "head", (row) => row.account], ["State", "state", (row) => row.state],
    ["Last success, UTC", "text", (row) => row.last_success ?? "never"],
    ["Age", "number", (row) => duration(row.hours_ago)],
    ["Stale after", "number", (row) => (row.stale_after_hours === null ? "–" : duration(row.stale_after_hours))],
    ["Orders", "number", (row) => whole.format(row.orders)]], states);
  const fresh = states.filter((row) => row.state === "fresh").length;
  const wrong = ["failing", "stale", "never synced"]
    .map((state) => [states.filter((row) => row.state === state).length, state])
    .filter(([count]) => count > 0);
  at("tile-fresh").textContent = `${fresh} of ${states.length}`;
  at("tile-fresh-note").textContent =
    wrong.map((each) => each.join(" ")).join(", ") || "none stale or failing";
}

function offerCurrencies() {
  const counted = grouped(chosen("sales").filter((row) => row.amount !== null), ["currency"], ["orders"])
    .sort((one, other) => other.orders - one.orders);
  const before = at("currency").value;
  at("currency").replaceChildren(...counted.map(({ currency }) => new Option(currency)));
  if (counted.some((each) => each.currency === before)) at("currency").value = before;
  at("currency").disabled = counted.length < 2;
}

async function show() {
  delete document.body.dataset.drawn;
  const found = { ...showSales(), ...showOpen(), ...showLeadTimes() };
  showTrust();
  for (const [id, rows] of Object.entries(found)) {
    at(id).hidden = rows === 0;
    at(`${id}-nothing`).hidden = rows !== 0;
    if (rows > 0) await (views[id] ? update(id) : embed(id));
  }
  document.body.dataset.drawn = "yes";
}

async function update(id) {
  for (const { name } of specs[id].params) views[id].signal(name, at(name).value);
  await views[id].resize().runAsync();
}

async function embed(id) {
  const params = specs[id].params.map(({ name }) => ({ name, value: at(name).value }));
  const datasets = { [PANEL_OF[id]]: panels[PANEL_OF[id]] };
  const { view } = await vegaEmbed(at(id), { ...specs[id], params, datasets, config: theme() },
    { actions: false, renderer: "svg", tooltip: { theme: "custom" } });
  view.description(at(`${id}-title`).textContent);
  views[id] = view;
}

function theme() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = getComputedStyle(document.body).fontFamily;
  return {
    font, background: "transparent", view: { stroke: null },
    axis: { labelColor: color("soft"), titleColor: color("soft"), gridColor: color("line"),
      domainColor: color("line"), tickColor: color("line"), labelFontSize: 12, titleFontSize: 12,
      titleFontWeight: 400, titlePadding: 10, labelPadding: 6 },
    legend: { labelColor: color("ink"), labelFontSize: 12, symbolSize: 110, columns: innerWidth < 560 ? 2 : 5,
      columnPadding: 14, padding: 0, offset: 10 },
  };
}

async function draw() {
  for (const id of Object.keys(views)) {
    views[id].finalize();
    delete views[id];
  }
  await show();
}

offerCurrencies();
at("account").addEventListener("change", () => { offerCurrencies(); show(); });
at("currency").addEventListener("change", show);
at("since").addEventListener("change", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
