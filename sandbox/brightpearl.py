"""The Brightpearl order API.

Belongs here: its routes, authentication, request allowance and refusals, and edits by hand.
Does not belong here: how orders are worded or searched, and which there are.

Recorded: the 401, 503 and CMNC-018 bodies, an empty list for ids that do not exist, replies in
another order than asked for, and the two throttle headers. The wording of the other refusals
is ours.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.api import SandboxApi, Setup, json_bytes
from sandbox.brightpearl_body import STATUSES, stamp
from sandbox.brightpearl_ids import MOST_IDS, IdSetError, read_id_set, write_id_sets
from sandbox.brightpearl_orders import timelines
from sandbox.brightpearl_search import Index, SearchError, search
from sandbox.brightpearl_version import Version, encoded
from sandbox.people import chance
from sandbox.world import Body, Shelf, Timeline, UnknownOrderError

METHODS = ["GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
FIXED = frozenset({"id", "orderTypeCode", "version", "createdOn", "updatedOn"})
"""Keys that no edit may name: the system sets them itself."""

UNSET = frozenset({"closedOn", "isDropship", "allocationStatusCode", "originalInvoiceDate"})
"""Keys that a body may lack and an edit may add."""

THROTTLED = "You have sent too many requests. Please wait before sending another request"


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, body: Body) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def refused(status: int, code: str, message: str) -> Refusal:
    """A refusal in the `errors` form."""
    return Refusal(status, {"errors": [{"code": code, "message": message}]})


class BrightpearlApi(SandboxApi):
    """One Brightpearl account: 200 requests a minute, orders in GBP and BRL."""

    source: ClassVar[str] = "brightpearl"
    credential_names: ClassVar[tuple[str, ...]] = ("app_ref", "account_token")
    timezone: ClassVar[str] = "Europe/London"
    currency: ClassVar[str] = "GBP"
    started_on: ClassVar[date] = date(2026, 9, 21)
    requests_per_minute: ClassVar[int] = 200

    shelf: Shelf[Version]

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._allowance = self.limit(self.requests_per_minute)
        self._index = Index([])
        self._indexed: dict[str, Version] = {}
        sample = timelines()
        stride = max(sample) - min(sample) + 1
        lines = {
            key: Timeline(list(line.moments), list(line.bodies)) for key, line in sample.items()
        }
        for copy in range(setup.repeat):
            self.shelf.timelines |= {str(key + copy * stride): line for key, line in lines.items()}

    def base_path(self) -> str:
        """As behind `https://euw1.brightpearlconnect.com`."""
        return f"/public-api/{self.name}"

    def routes(self) -> list[BaseRoute]:
        """One route, so that every reply passes the allowance and carries its headers."""
        return [Route("/{path:path}", self._reply, methods=METHODS)]

    def settings(self) -> Body:
        """This account's own statuses; 9 and 26 are left to the rule for unmapped ones."""
        statuses = {
            "7": "processing",
            "8": "processing",
            "20": "processing",
            "21": "processing",
            "22": "in_transit",
            "23": "in_transit",
            "24": "completed",
            "25": "completed",
            "27": "cancelled",
            "28": "cancelled",
        }
        return {"order_status": statuses}

    async def _reply(self, request: Request) -> Response:
        taken = self._allowance.take()
        try:
            if not taken.allowed:
                raise Refusal(503, {"response": THROTTLED})
            self._authenticate(request)
            reply = json_bytes(self._answer(request))
        except Refusal as refusal:
            reply = json_bytes(encoded(refusal.body), refusal.status)
        reply.headers["Brightpearl-Requests-Remaining"] = str(taken.remaining)
        reply.headers["Brightpearl-Next-Throttle-Period"] = str(int(taken.resets_in * 1000))
        return reply

    def _authenticate(self, request: Request) -> None:
        reference = request.headers.get("brightpearl-app-ref")
        token = request.headers.get("brightpearl-account-token")
        if not reference or not token or reference != self.setup.credentials["app_ref"]:
            raise Refusal(401, {"response": "Not authenticated"})
        if token != self.setup.credentials["account_token"]:
            raise Refusal(401, {"response": "Invalid instance token"})

    def _answer(self, request: Request) -> bytes:
        match request.method, request.path_params["path"].split("/"):
            case "GET", ["order-service", "order-search"]:
                return self._search(request)
            case "GET", ["order-service", "order-status"]:
                return encoded({"response": self._statuses()})
            case "GET", ["order-service", "order", ids]:
                return self._orders(ids, request.query_params.get("includeOptional", ""))
            case "OPTIONS", ["order-service", "order"]:
                return self._uris(None)
            case "OPTIONS", ["order-service", "order", ids]:
                return self._uris(ids)
        path = request.path_params["path"]
        raise refused(404, "CMNC-404", f"There is no {request.method} of {path}")

    def _search(self, request: Request) -> bytes:
        try:
            return encoded(search(self._present(), dict(request.query_params)))
        except SearchError as error:
            raise refused(500, "CMNC-018", str(error)) from error

    def _statuses(self) -> list[Body]:
        return [
            {
                "statusId": number,
                "name": name,
                "orderTypeCode": kind,
                "sortOrder": place * 10,
                "disabled": False,
                "visible": True,
                "color": "#336699",
            }
            for place, (number, (name, kind)) in enumerate(STATUSES.items(), start=1)
        ]

    def _orders(self, text: str, optional: str) -> bytes:
        """Order GET: at most 200 ids; those that do not exist are left out."""
        try:
            ids = read_id_set(text)
        except IdSetError as error:
            raise refused(400, error.code, str(error)) from error
        if ids.count > MOST_IDS:
            message = f"At most {MOST_IDS} orders can be asked for at once, not {ids.count}"
            raise refused(400, "CMNC-010", message)
        asked = optional.split(",")
        wanted = tuple(name for name in ("customFields", "nullCustomFields") if name in asked)
        present = self.shelf.present()
        found = [(number, present[str(number)]) for number in ids.ids() if str(number) in present]
        found.sort(key=lambda item: chance("reply", item[0]))
        bodies = [version.json(number, wanted) for number, version in found]
        return b'{"response":[' + b",".join(bodies) + b"]}"

    def _uris(self, text: str | None) -> bytes:
        """Order OPTIONS: existing ids only, 200 in a URI."""
        ids = [number for number, _ in self._present().by_id]
        if text is not None:
            try:
                within = read_id_set(text)
            except IdSetError as error:
                raise refused(400, error.code, str(error)) from error
            ids = [number for number in ids if number in within]
        uris = [f"/order/{part}" for part in write_id_sets(ids)]
        return encoded({"response": {"getUris": uris}})

    def _present(self) -> Index:
        """The index of what exists now, made anew only when that has changed."""
        present = self.shelf.present()
        if self._indexed is not present:
            self._index = Index([(int(key), version) for key, version in present.items()])
            self._indexed = present
        return self._index

    def truth(self) -> list[Body]:
        """As SandboxApi.truth; bodies are those of a GET with both optional parts."""
        return [
            {
                "source_order_id": key,
                "is_deleted": version is None,
                "body": version and {**version.body, **version.head(int(key)), **version.optional},
            }
            for key, version in self.shelf.ever().items()
        ]

    def delete(self, order_id: str) -> None:
        """Delete an order, as is done in Brightpearl's screens. Raises UnknownOrderError."""
        self._separate(order_id)
        super().delete(order_id)

    def edit(self, order_id: str, changes: Body) -> None:
        """Merge changes into an order (RFC 7386), raise its version and move its updatedOn.

        `changes` are keys of the documented body; `customFields` is one of them. Totals follow
        edited rows and a status's name follows its id. Raises UnknownOrderError, and ValueError
        for a key that the body does not have or that the system sets itself.
        """
        self._separate(order_id)
        now = self.clock.now().replace(microsecond=0)
        self.shelf.change(order_id, lambda version: edited(version, int(order_id), changes, now))

    def _separate(self, order_id: str) -> None:
        """Give an order a timeline of its own if it shares one with repetitions."""
        line = self.shelf.timelines.get(order_id)
        if line is None:
            raise UnknownOrderError(order_id)
        if self.setup.repeat > 1:
            bodies = [version and version.for_order(int(order_id)) for version in line.bodies]
            self.shelf.timelines[order_id] = Timeline(list(line.moments), bodies)


def edited(version: Version, order_id: int, changes: Body, now: datetime) -> Version:
    """A version with changes merged into it; later versions keep their own updatedOn."""
    rest = {key: value for key, value in changes.items() if key != "customFields"}
    refusable = set(rest) - set(version.body) - UNSET | FIXED & set(rest)
    if refusable:
        raise ValueError(f"an order has no editable {', '.join(sorted(refusable))}")
    updated = max(now, version.updated or now)
    body = merged(version.body, rest)
    body["version"] += 1
    body["updatedOn"] = stamp(updated)
    if "orderStatus" in rest:
        status = body["orderStatus"]["orderStatusId"]
        if status not in STATUSES:
            raise ValueError(f"there is no status {status}; order-status lists them")
        body["orderStatus"] = {"orderStatusId": status, "name": STATUSES[status][0]}
    if "orderRows" in rest:
        body["totalValue"] = totals(body)
    custom = merged(version.custom, changes.get("customFields", {}))
    return version.changed(order_id, body, custom, updated)


def merged(old: Body, changes: Body) -> Body:
    """JSON merge patch: objects are merged, null removes, anything else replaces."""
    new = dict(old)
    for key, value in changes.items():
        if value is None:
            new.pop(key, None)
        elif isinstance(value, dict) and isinstance(old.get(key), dict):
            new[key] = merged(old[key], value)
        else:
            new[key] = value
    return new


def totals(body: Body) -> Body:
    """The totals of a body's rows, in its currency and in the account's."""
    values = [row["rowValue"] for row in body["orderRows"].values()]
    cent, rate = Decimal("0.01"), Decimal(body["currency"]["exchangeRate"])
    net = sum((Decimal(value["rowNet"]["value"]) for value in values), Decimal()).quantize(cent)
    tax = sum((Decimal(value["rowTax"]["value"]) for value in values), Decimal()).quantize(cent)
    base_net, base_tax = (net / rate).quantize(cent), (tax / rate).quantize(cent)
    amounts = {
        "net": net,
        "taxAmount": tax,
        "baseNet": base_net,
        "baseTaxAmount": base_tax,
        "baseTotal": base_net + base_tax,
        "total": net + tax,
    }
    return {name: str(amounts[name]) for name in body["totalValue"]}
