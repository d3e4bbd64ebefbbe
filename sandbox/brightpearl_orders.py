"""The orders of the Brightpearl account, as dated versions.

Belongs here: which sample rows become which order, what is in it, and its id.
Does not belong here: how a body is worded, and what happens to an order over time.

A shop sells online (Online Retail II) and through a marketplace (Olist), and buys from invented
suppliers what the shop sold. Ids rise with createdOn; one in forty is missing, as if the order
had been deleted before anybody saw it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby

from sandbox.brightpearl_body import ZONE, Composer, Draft, Line, State, rounded
from sandbox.brightpearl_parties import customer_parties, supplier_parties
from sandbox.brightpearl_story import (
    Step,
    credit_steps,
    market_steps,
    purchase_steps,
    sale_steps,
    step,
)
from sandbox.brightpearl_version import Version
from sandbox.orders import Dice, sample, utc
from sandbox.people import chance
from sandbox.world import Body, Timeline

FIRST_ID = 100_182
"""The order id of the documented examples."""

VAT = 200_000
"""20 % in ten-thousandths."""

FREE_TEXT = 1000
"""Product id of rows without a product: postage, discounts, fees."""

BUNDLED = "22423"
"""A three-tier cake stand; every fourth is sold as a bundle of its plates."""

BRL_PER_GBP = "6.850000"


@dataclass(frozen=True)
class Story:
    """An order before it has an id: what it holds, how it begins and what happens to it."""

    draft: Draft
    state: State
    steps: list[Step]


@cache
def timelines() -> dict[int, Timeline[Version]]:
    """Every order of the sample with its versions, by order id. Shared: copy before changing."""
    stories = [*shop(), *purchases(), *marketplace()]
    stories.sort(key=lambda story: (story.draft.created, story.draft.key))
    ids, following = {}, FIRST_ID
    for story in stories:
        following += 2 if chance(story.draft.key, "gap") % 40 == 0 else 1
        ids[story.draft.key] = following
    lines = {}
    for story in stories:
        order_id = ids[story.draft.key]
        lines[order_id] = timeline(story, order_id, ids.get(story.draft.parent_key or "", 0))
    return lines


def timeline(story: Story, order_id: int, parent_id: int) -> Timeline[Version]:
    """The versions of one order: the first as created, then one a step."""
    composer, state = Composer(story.draft, order_id, parent_id), story.state
    line: Timeline[Version] = Timeline()
    line.put(story.draft.created, composer.version(1, state, None))
    for number, change in enumerate(sorted(story.steps, key=lambda item: item.at), start=2):
        at = max(change.at.replace(microsecond=0), story.draft.created + timedelta(seconds=1))
        if change.deletes:
            line.put(at, None)
            break
        state = replace(state, **change.changes)
        line.put(at, composer.version(number, state, at))
    return line


def shop() -> Iterator[Story]:
    """Online Retail II: an invoice is a sales order, a C invoice a sales credit."""
    sold: dict[tuple[int, str], str] = {}
    rows = sorted(sample("online_retail"), key=lambda row: str(row["invoice_no"]))
    invoices = [list(group) for _, group in groupby(rows, key=lambda row: row["invoice_no"])]
    invoices.sort(key=lambda group: min(row["invoiced"] for row in group))
    for group in invoices:
        if group[0]["invoice_no"].startswith("C"):
            yield credit(group, sold)
            continue
        story = sale(group)
        if group[0]["customer_id"]:
            sold |= {(row["customer_id"], row["stock_code"]): story.draft.key for row in group}
        yield story


def sale(rows: list[Body]) -> Story:
    """A sale. Without a customer number it is a consumer's, at prices including tax."""
    rows = sorted(rows, key=lambda row: row["invoiced"])
    dice, first = Dice(rows[0]["invoice_no"]), rows[0]
    consumer = first["customer_id"] is None
    valued = any(row["unit_price"] for row in rows)
    lines = shop_lines(rows, dice, inclusive=consumer and valued)
    created = utc(first["invoiced"], ZONE)
    draft = shop_draft(rows, dice, "SO", lines)
    if not valued:
        written_off = State(25, payment="NOT_APPLICABLE", allocation="ANR")
        return Story(draft, written_off, [])
    state = State(
        status=3 if dice.one_in("phone", 3) and not consumer else 2,
        payment="AUTHORIZED" if consumer else "UNPAID",
        custom=begun_with(dice),
    )
    stocked = any(line.stocked for line in lines)
    steps = sale_steps(created, dice, stocked=stocked, on_account=not consumer)
    state, steps = amended(state, steps, rows, lines, dice)
    return Story(draft, state, steps)


def begun_with(dice: Dice) -> Body:
    """Custom fields set when an order was entered: most have none."""
    if dice.one_in("note", 9):
        return {"PCF_GIFTNOTE": "With best wishes <3", "PCF_SEASON": {"id": 2, "value": "AW26"}}
    return {}


def amended(
    state: State, steps: list[Step], rows: list[Body], lines: list[Line], dice: Dice
) -> tuple[State, list[Step]]:
    """Rows that were added later: those of a second stamp, and now and then the last one."""
    begun = sum(row["invoiced"] == rows[0]["invoiced"] for row in rows)
    if begun < len(rows) == len(lines):
        at = utc(rows[-1]["invoiced"], ZONE)
        return replace(state, rows=begun), [step(at, rows=len(lines)), *steps]
    if len(lines) > 2 and not lines[-1].bundle and steps and dice.one_in("amended", 30):
        at = utc(rows[0]["invoiced"], ZONE) + dice.delay("amend", 0.05, 0.9)
        return replace(state, rows=len(lines) - 1), [step(at, rows=len(lines)), *steps]
    return state, steps


def shop_draft(rows: list[Body], dice: Dice, type_code: str, lines: list[Line]) -> Draft:
    """What a sale and a credit have in common."""
    first = rows[0]
    created = utc(first["invoiced"], ZONE)
    consumer = first["customer_id"] is None
    inclusive = consumer and type_code == "SO" and any(row["unit_price"] for row in rows)
    late_entry = dice.delay("entered late", 0.1, 2) if dice.one_in("late", 12) else timedelta()
    return Draft(
        key=first["invoice_no"],
        type_code=type_code,
        created=created,
        placed=created - late_entry,
        reference=first["invoice_no"],
        lines=tuple(lines),
        parties=customer_parties(first["customer_id"], first["invoice_no"], first["country"]),
        price_mode="INC" if inclusive else "EXC",
        delivery_on=created + timedelta(days=3) if dice.one_in("dated", 4) else None,
        channel=2 if consumer else 1,
        staff=200 + dice.draw("staff", 4) if not consumer else 0,
        extra={"historicalOrder": True} if dice.one_in("historical", 120) else {},
    )


def shop_lines(rows: list[Body], dice: Dice, *, inclusive: bool) -> list[Line]:
    """Order rows of an invoice; a credit's quantities are turned round to be positive."""
    credit_note = rows[0]["invoice_no"].startswith("C")
    rate = VAT if rows[0]["country"] in ("United Kingdom", "Channel Islands") else 0
    lines: list[Line] = []
    for row in rows:
        quantity = -row["quantity"] if credit_note else row["quantity"]
        line = shop_line(row, quantity, rate, inclusive=inclusive)
        if row["stock_code"] == BUNDLED and dice.one_in("bundle", 4):
            lines += bundle(line, ("SMALL", "MEDIUM", "LARGE"))
        else:
            lines.append(line)
    return lines


def shop_line(row: Body, quantity: int, rate: int, *, inclusive: bool) -> Line:
    """One invoice line as an order row."""
    code, price = row["stock_code"], ten_thousandths(row["unit_price"])
    product = code[:5].isdigit() or code.startswith(("DCGS", "PADS"))
    value = quantity * price
    net = rounded(value * 1_000_000, 1_000_000 + rate) if inclusive else value
    taxed = value - net if inclusive else rounded(net * rate, 1_000_000)
    return Line(
        product_id=1002 + chance(code) % 40_000 if product else FREE_TEXT,
        name=row["description"] or "",
        sku=code if product else "",
        quantity=quantity,
        price=price,
        net=net,
        tax=rounded(taxed, 100) * 100,
        rate=rate,
        cost=rounded(price * 3, 5) if product else 0,
        nominal="4040" if code in ("POST", "DOT", "C2") else "4000",
        stocked=product,
    )


def bundle(line: Line, parts: tuple[str, ...]) -> list[Line]:
    """A bundle's parent with the price, and its parts at zero."""
    children = [
        replace(
            line,
            product_id=line.product_id + place,
            name=f"{line.name} {part}",
            sku=f"{line.sku}-{part[0]}",
            price=0,
            net=0,
            tax=0,
            cost=0,
            bundle="child",
        )
        for place, part in enumerate(parts, start=1)
    ]
    return [replace(line, bundle="parent"), *children]


def credit(rows: list[Body], sold: dict[tuple[int, str], str]) -> Story:
    """A sales credit, under the sale it most likely credits: same customer and product."""
    dice, first = Dice(rows[0]["invoice_no"]), rows[0]
    lines = shop_lines(rows, dice, inclusive=False)
    found = (sold.get((first["customer_id"], row["stock_code"])) for row in rows)
    parent = next((key for key in found if key), None)
    draft = replace(shop_draft(rows, dice, "SC", lines), parent_key=parent)
    return Story(draft, State(10), credit_steps(draft.created, dice))


def purchases() -> Iterator[Story]:
    """Supplier orders, and a purchase credit for goods of every fortieth that came damaged."""
    groups: dict[tuple[datetime, int], list[Body]] = defaultdict(list)
    for row in sample("purchases"):
        groups[row["placed"], row["supplier"]].append(row)
    for number, ((placed, supplier), rows) in enumerate(groups.items(), start=1):
        dice = Dice(f"PO-{number:05d}")
        lines = [purchase_line(row) for row in rows]
        if dice.one_in("bundle", 25):
            lines = [*bundle(lines[0], ("BOX", "INSERT")), *lines[1:]]
        created = utc(placed, ZONE)
        draft = Draft(
            key=dice.key,
            type_code="PO",
            created=created,
            placed=created + timedelta(seconds=1),
            reference=f"#R{number}",
            lines=tuple(lines),
            parties=supplier_parties(supplier),
            delivery_on=created + timedelta(days=7 + dice.draw("due", 10)),
            channel=0,
            extra={"isDropship": dice.one_in("dropship", 40)},
        )
        steps = [] if dice.one_in("untouched", 15) else purchase_steps(created, dice)
        yield Story(draft, State(6), steps)
        if number % 40 == 0:
            yield purchase_credit(draft, dice)


def purchase_credit(order: Draft, dice: Dice) -> Story:
    """A tenth of a purchase order's first product sent back."""
    line = order.lines[0]
    part = max(line.quantity // 10, 1)
    net = part * line.cost
    returned = replace(line, quantity=part, net=net, tax=rounded(net, 500) * 100, bundle="")
    created = order.created + dice.delay("sent back", 300, 340)
    draft = replace(
        order,
        key=f"{order.key}-R",
        type_code="PC",
        created=created,
        placed=created,
        lines=(returned,),
        delivery_on=None,
        parent_key=order.key,
        extra={"isDropship": False},
    )
    at = created + dice.delay("credited", 24, 60)
    return Story(draft, State(12), [step(at, fulfilled="A", payment="PAID", closed_at=at)])


def purchase_line(row: Body) -> Line:
    """A purchased product: productPrice is zero and itemCost what it costs, as recorded."""
    cost = ten_thousandths(row["unit_cost"])
    net = row["quantity"] * cost
    return Line(
        product_id=1002 + chance(row["stock_code"]) % 40_000,
        name=row["description"],
        sku=row["stock_code"],
        quantity=row["quantity"],
        price=0,
        net=net,
        tax=rounded(net, 500) * 100,
        rate=VAT,
        cost=cost,
        nominal="1201",
    )


def marketplace() -> Iterator[Story]:
    """Olist: sales in BRL, one row a unit and one for freight; some never had an item."""
    stamped = ("purchased", "approved", "handed_over", "delivered")
    for row in sample("olist"):
        dice = Dice(row["order_id"])
        stamps = {name: utc(row[name], ZONE) for name in stamped if row[name]}
        card = any(payment["type"] == "credit_card" for payment in row["payments"])
        paid = sum(payment["value"] for payment in row["payments"])
        draft = Draft(
            key=row["order_id"],
            type_code="SO",
            created=stamps["purchased"],
            placed=stamps["purchased"],
            reference=row["order_id"],
            lines=tuple(market_lines(row["items"] or [])),
            parties=customer_parties(None, row["customer_id"], "Brazil", row["city"], row["state"]),
            currency="BRL",
            rate=BRL_PER_GBP,
            delivery_on=utc(row["promised"], ZONE),
            warehouse=3,
            channel=3,
            total=None if row["items"] else ten_thousandths(paid),
        )
        state = State(2, payment="AUTHORIZED" if card else "UNPAID")
        yield Story(draft, state, market_steps(row, stamps, dice))


def market_lines(items: list[Body]) -> Iterator[Line]:
    """A row for each unit and one for all freight; no tax is known."""
    for item in items:
        price, code = ten_thousandths(item["price"]), item["product_id"]
        yield Line(
            product_id=50_000 + chance(code) % 40_000,
            name=(item["category"] or "").replace("_", " ").title(),
            sku=code[:12].upper(),
            quantity=1,
            price=price,
            net=price,
            tax=0,
            rate=0,
        )
    freight = ten_thousandths(sum(item["freight"] for item in items))
    if freight:
        yield Line(FREE_TEXT, "Freight", "", 1, freight, freight, 0, 0, 0, "4040", stocked=False)


def ten_thousandths(amount: Decimal | int) -> int:
    """A decimal amount as a whole number of ten-thousandths."""
    return int(amount * 10_000)
