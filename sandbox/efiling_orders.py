"""Company formation orders, made by the document: none of them is real.

Belongs here: which orders there are, and what becomes of each between its creation and its last
change. Does not belong here: requests and replies.

Shapes and the first order are those of the document; companies, people and prices are invented
from a fixed seed. Money is held in pence until it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sandbox.clock import OPENING
from sandbox.people import person
from sandbox.world import Body

LONDON = ZoneInfo("Europe/London")
ORDERS = 600
FIRST_ID, FIRST_INCORPORATION = 1_001, 50_001
FIRST_CREATED = datetime(2026, 1, 5, 8, tzinfo=UTC)
LAST_CREATED = OPENING + timedelta(days=14)

STATUSES = {100: "open", 300: "processing", 500: "processing", 700: "completed", 900: "completed"}
"""Status codes of this account, as its owner reads them; the document shows 700 and 900 only."""

VAT_PERCENT = 20

PACKAGES = {
    "Bronze Package": 1499,
    "Silver Package": 3499,
    "Gold Package": 5999,
    "Platinum Package": 9999,
}
"""Net price in pence of the formation itself, by package."""


@dataclass(frozen=True)
class Product:
    """Something that is sold beside the formation; `price` is net, in pence."""

    name: str
    price: int
    is_service: bool
    taxable: bool = True
    for_officer: bool = False


FORMATION = "Limited Company Formation"
PRODUCTS = (
    Product("Companies House Filing Fee", 5000, is_service=False, taxable=False),
    Product("Service Address", 2600, is_service=True, for_officer=True),
    Product("Registered Office Address", 3900, is_service=True),
    Product("Confirmation Statement Service", 4999, is_service=True),
    Product("VAT Registration", 2999, is_service=True),
    Product("Nominee Director", 15000, is_service=True, for_officer=True),
    Product("Printed Certificate of Incorporation", 995, is_service=False),
    Product("Company Seal", 1750, is_service=False),
)

SOLID = ("Amber", "Birch", "Cobalt", "Dover", "Ember", "Fenland", "Granite", "Harbour", "Indigo",
         "Juniper", "Kestrel", "Lantern", "Meadow", "Northgate", "Oakridge", "Pebble")  # fmt: skip
TRADE = ("Bakery", "Building", "Care", "Consulting", "Design", "Digital", "Energy", "Foods",
         "Holdings", "Joinery", "Logistics", "Media", "Motors", "Property", "Studios",
         "Trading")  # fmt: skip

DOCUMENTED_ORDER: Body = {
    "id": 123,
    "description": "ABC LTD",
    "created_at": 20200101095500,
    "updated_at": 20200103123518,
    "invoiced_at": 20200101101836,
    "cancelled_at": "",
    "status": 700,
    "mlc_status": 700,
    "net": 17.98,
    "gross": 19.58,
}
"""The document's example. Its totals are not those of its lines, nor is its tax 20 %."""


@dataclass
class Story:
    """One order as it comes about: its dated versions, `{"order": .., "orderlines": [..]}`."""

    order_id: int
    versions: list[tuple[datetime, Body]] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """The moment of the newest version."""
        return self.versions[-1][0]

    @property
    def lines(self) -> list[Body]:
        """The newest lines."""
        lines: list[Body] = self.versions[-1][1]["orderlines"]
        return lines

    def tell(self, at: datetime, lines: list[Body] | None = None, **changes: object) -> None:
        """Add a version: changes of the order, other lines, or both. `updated_at` moves."""
        before = self.versions[-1][1] if self.versions else {"order": {}, "orderlines": []}
        order = {**before["order"], **changes, "updated_at": digits(at)}
        lines = before["orderlines"] if lines is None else lines
        self.versions.append((at, {"order": order, "orderlines": lines}))


def digits(at: datetime) -> int:
    """A moment as the API prints it: YmdHis as a number, naive UK time."""
    return int(f"{at.astimezone(LONDON):%Y%m%d%H%M%S}")


def pounds(pence: int) -> float:
    """An amount as a JSON number."""
    return pence / 100


def documented_story() -> Story:
    """The document's order 123, with the two lines that the document shows."""
    line = {
        "order_id": 123,
        "description": "",
        "quantity": 1,
        "price": 2.00,
        "tax": 1.00,
        "package": {"name": "Bronze Package"},
        "incorporation": {"incorporation_id": 456, "company_name": "ABC LTD"},
    }
    formation = {"name": FORMATION, "is_service": 0, "is_incorporation": 1, "taxable": 1}
    address = {"name": "Service Address", "is_service": 1, "is_incorporation": 0, "taxable": 1}
    lines = [
        {**line, "product": formation, "officer": officer()},
        {**line, "product": address, "officer": officer(first_name="Joe", last_name="Bloggs")},
    ]
    body = {"order": DOCUMENTED_ORDER, "orderlines": lines}
    return Story(123, [(datetime(2020, 1, 3, 12, 35, 18, tzinfo=UTC), body)])


def stories(repeat: int = 1) -> Iterator[Story]:
    """Every order by id, the document's first; ids rise with the moment of creation."""
    yield documented_story()
    dice = Random("formations")
    span = (LAST_CREATED - FIRST_CREATED).total_seconds()
    moments = sorted(_working_hours(dice.uniform(0, span)) for _ in range(ORDERS))
    created = [at for at in moments for _ in range(repeat)]
    for place, at in enumerate(created):
        yield _story(FIRST_ID + place, FIRST_INCORPORATION + place, at)


def _working_hours(seconds: float) -> datetime:
    """A moment of the sandbox's year, moved into the day: people order between 7 and 23."""
    at = FIRST_CREATED + timedelta(seconds=round(seconds))
    return at.replace(hour=7 + at.hour * 2 // 3)


def _story(order_id: int, incorporation_id: int, created: datetime) -> Story:
    dice = Random(f"formation/{order_id}")
    story = Story(order_id)
    company = f"{dice.choice(SOLID)} {dice.choice(TRADE)} LTD".upper()
    lines = _lines(order_id, incorporation_id, company, dice)
    story.tell(
        created,
        lines,
        id=order_id,
        description=company,
        created_at=digits(created),
        updated_at=digits(created),
        invoiced_at="",
        cancelled_at="",
        status=100,
        mlc_status=100,
        **_amounts(lines),
    )
    _live(story, dice)
    return story


def _live(story: Story, dice: Random) -> None:
    """Submitted and invoiced, checked, completed - or given up, or cancelled on the way."""
    fate = dice.random()
    if fate < 0.08:
        return
    if dice.random() < 0.10:
        _correct_line(story, _later(story, dice, hours=1), dice)
    submitted = _later(story, dice, hours=6)
    story.tell(submitted, status=300, invoiced_at=digits(submitted))
    if fate < 0.14:
        cancelled = _later(story, dice, hours=72)
        story.tell(cancelled, cancelled_at=digits(cancelled))
        return
    story.tell(_later(story, dice, hours=48), mlc_status=700)
    story.tell(_later(story, dice, hours=60), status=500)
    story.tell(_later(story, dice, hours=72), status=700)
    if dice.random() < 0.10:
        _correct_line(story, _later(story, dice, hours=24 * 20), dice)
    if dice.random() < 0.3:
        story.tell(_later(story, dice, hours=24 * 150), status=900)


def _later(story: Story, dice: Random, hours: float) -> datetime:
    """A moment at most so many hours after the newest version, and at least two minutes."""
    return story.at + timedelta(seconds=round(dice.uniform(120, hours * 3600)))


def _correct_line(story: Story, at: datetime, dice: Random) -> None:
    """A line is described otherwise; nothing else of the order changes but `updated_at`."""
    place = dice.randrange(len(story.lines))
    note = dice.choice(("Name spelt as on passport", "Posted first class", "Address confirmed"))
    corrected = {**story.lines[place], "description": note}
    story.tell(at, [*story.lines[:place], corrected, *story.lines[place + 1 :]])


def _lines(order_id: int, incorporation_id: int, company: str, dice: Random) -> list[Body]:
    """The formation, and up to five further products in the same package."""
    package = dice.choice(list(PACKAGES))
    formation = Product(FORMATION, PACKAGES[package], is_service=False)
    further = dice.sample(PRODUCTS, k=dice.choice((0, 1, 1, 2, 2, 3, 4, 5)))
    incorporation = {"incorporation_id": incorporation_id, "company_name": company}
    same = {"package": {"name": package}, "incorporation": incorporation}
    chosen = [formation, *further]
    return [{**_line(order_id, product, dice), **same} for product in chosen]


def _line(order_id: int, product: Product, dice: Random) -> Body:
    """`price` is net for one, `tax` is for the whole line (neither is said by the document)."""
    quantity = dice.choice((1, 1, 2, 3)) if product.name.startswith("Printed") else 1
    tax = product.price * quantity * VAT_PERCENT // 100 if product.taxable else 0
    return {
        "order_id": order_id,
        "description": "",
        "quantity": quantity,
        "price": pounds(product.price),
        "tax": pounds(tax),
        "product": {
            "name": product.name,
            "is_service": int(product.is_service),
            "is_incorporation": int(product.name == FORMATION),
            "taxable": int(product.taxable),
        },
        "officer": _officer(order_id, product, dice),
    }


def _officer(order_id: int, product: Product, dice: Random) -> Body:
    """Who a service is for: nobody, somebody, or now and then a company."""
    somebody = person(f"formation.{order_id}.{dice.randrange(3)}")
    if not product.for_officer:
        return officer()
    if somebody.company and dice.random() < 0.15:
        return officer(company_name=somebody.company)
    return officer(first_name=somebody.first_name, last_name=somebody.last_name)


def officer(
    company_name: str | None = None, first_name: str | None = None, last_name: str | None = None
) -> Body:
    """An officer as the document shows one; all null where a product is for nobody."""
    return {"company_name": company_name, "first_name": first_name, "last_name": last_name}


def _amounts(lines: list[Body]) -> dict[str, float]:
    """`net` and `gross` that agree with the lines."""
    net = sum(round(line["price"] * 100) * line["quantity"] for line in lines)
    tax = sum(round(line["tax"] * 100) for line in lines)
    return {"net": pounds(net), "gross": pounds(net + tax)}
