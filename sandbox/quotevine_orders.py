"""The leasing orders of the Quotevine sandbox, made by document field by field.

Belongs here: relationships and lease orders as dated versions; no public data set has any, so all
of it is invented from fixed seeds and is the same in every run.
Does not belong here: paths, envelopes and errors; those are quotevine.py.

Bodies hold no ids, so that a repeated sample can share them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from sandbox.clock import OPENING
from sandbox.people import Person, chance, person
from sandbox.world import Body

ZONE = ZoneInfo("Europe/London")
FIRST_DAY = date(2026, 5, 4)
RELATIONSHIPS = 150
PROSPECTS = 8
"""Relationships that never order: their list of orders is empty."""
FLEET_ORDERS = 31
FIRST_RELATIONSHIP_ID, FIRST_ORDER_ID = 2227188, 154709

ORDER_STATUSES = {
    "New Order": "open",
    "Sent to Customer": "open",
    "Order Placed": "processing",
    "In Build": "processing",
    "Awaiting Delivery": "processing",
    "Delivered": "completed",
    "Completed": "completed",
    "Cancelled": "cancelled",
}
"""The configured order statuses, each with what it means; the vendor lets every tenant choose."""

DOCUMENT_FIELDS = (
    "proposal_id", "order_status", "proposal_status", "order_date", "dealer_id",
    "dealer_contact_id", "target_delivery_date", "int_target_delivery_date",
    "confirmed_delivery_date", "delivery_property", "delivery_postcode", "delivery_method",
    "new_used", "paint_option_code", "trim_option_code", "build_tracking_number",
    "registration_number", "vin", "k4k_registration_number", "funder_fleet_number",
    "discount_bonus_code_1", "discount_bonus_code_2", "cooling_off_date", "cancellation_date",
    "cancellation_reason", "contact_notes", "contact_name", "contact_telephone", "contact_mobile",
    "funder_order_number", "delivery_slot", "first_registration_date", "vehicle_registree",
    "registree_name", "registree_house_number_name", "registree_street", "registree_locality",
    "registree_town_city", "registree_postcode", "profit_date", "update_frequency_days",
    "last_customer_update", "working_user_email",
)  # fmt: skip
"""Every attribute of the Orders Object page, in its order."""

ALIASES = {
    "delivery_address": "delivery_property",
    "discount_bonus_1": "discount_bonus_code_1",
    "discount_bonus_2": "discount_bonus_code_2",
}
"""Names that an attribute "can also be passed as"."""

VENDOR_FIELDS = (
    "driver_id", "created_by", "creation_date", "last_updated_by", "last_update_date", "k4k_flag",
    "external_reference", "order_number", "quantity",
)  # fmt: skip
"""What a recorded reply of Orders Object v2 holds beyond the documented attributes."""

STAFF = tuple(f"{name}@leasing.example.com" for name in ("amara", "callum", "divya", "rhys"))
DEALERS = tuple(range(61013, 61025))
REASONS = ("Customer changed their mind", "Declined by funder", "Vehicle no longer available", "")
PROSE = ("End of {month}", "Early {month}", "Mid {month}", "ASAP", "TBC with factory")
NOTES = ("Call after 5 pm", "Gate code with reception", "Prefers e-mail", "", "")
METHODS = ("Transporter", "Delivery Driver", "Customer Collection")
FREQUENCIES = (0, 1, 3, 7, 7, 14, 14, 21, 30)
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"

Versions = list[tuple[datetime, Body]]


@dataclass(frozen=True)
class Relationship:
    """A customer of the leasing company and what its record was from each moment on."""

    number: int
    versions: Versions


@dataclass(frozen=True)
class LeaseOrder:
    """An order of one relationship and what its body was from each moment on (UTC)."""

    relationship: int
    number: int
    versions: Versions


@dataclass(frozen=True)
class LeasingWorld:
    """Everything that the leasing company ever holds, in order of creation."""

    relationships: list[Relationship]
    orders: list[LeaseOrder]


@dataclass
class _Plan:
    """A relationship before its orders are numbered."""

    who: Person
    legal_form: str
    created: datetime
    order_days: list[datetime] = field(default_factory=list)


def local_stamp(moment: datetime) -> str:
    """A moment as Quotevine writes it: London time, `2022-08-05 11:06:13`, no offset."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def local_day(moment: datetime) -> date:
    """The London date of a moment."""
    return moment.astimezone(ZONE).date()


def office_hour(draw: random.Random, day: date) -> datetime:
    """A moment in UTC within London office hours of a day, or of the Monday after a weekend."""
    if day.weekday() > 4:
        day += timedelta(days=7 - day.weekday())
    clock_time = time(draw.randint(9, 17), draw.randint(0, 59), draw.randint(0, 59))
    return datetime.combine(day, clock_time, ZONE).astimezone(UTC)


@cache
def leasing_world() -> LeasingWorld:
    """The whole sample; the same objects at every call, so never change a body in place."""
    draw = random.Random("quotevine")
    plans = sorted((_plan(draw, place) for place in range(RELATIONSHIPS)), key=lambda p: p.created)
    numbered = list(enumerate(plans, FIRST_RELATIONSHIP_ID))
    wanted = sorted((day, number) for number, plan in numbered for day in plan.order_days)
    people = {number: plan.who for number, plan in numbered}
    orders = [
        LeaseOrder(relationship, number, OrderStory(number, people[relationship], day).tell())
        for number, (day, relationship) in enumerate(wanted, FIRST_ORDER_ID)
    ]
    return LeasingWorld([_relationship(number, plan) for number, plan in numbered], orders)


def _plan(draw: random.Random, place: int) -> _Plan:
    end = local_day(OPENING) + timedelta(days=14)
    span = (end - FIRST_DAY).days
    first = FIRST_DAY + timedelta(days=int(span * place / RELATIONSHIPS))
    legal_form = draw.choice(("Private Individual", "Private Individual", "Limited Company", "LLP"))
    plan = _Plan(person(f"leasing-{place}"), legal_form, office_hour(draw, first))
    if place % (RELATIONSHIPS // PROSPECTS) == 7:
        return plan
    count = draw.choices((1, 2, 3, 4, 6, 9), (30, 25, 21, 12, 7, 5))[0]
    later = [draw.randint(0, (end - first).days) for _ in range(count - 1)]
    if place == 0:
        later = [*range(0, 168, 6), span - 12, span - 5][: FLEET_ORDERS - 1]
    days = (first + timedelta(days=after) for after in (0, *later))
    plan.order_days = sorted(_after(plan.created, office_hour(draw, day)) for day in days)
    return plan


def _after(earliest: datetime, moment: datetime) -> datetime:
    return max(moment, earliest + timedelta(minutes=7))


def _relationship(number: int, plan: _Plan) -> Relationship:
    who, company = plan.who, plan.legal_form != "Private Individual"
    day = local_day(plan.created).isoformat()
    body: Body = {
        "legal_form": plan.legal_form,
        "display_name": f"{who.last_name} {number} Ltd" if company else who.full_name,
        "relationship_status": "Prospect",
        "telephone_number": who.telephone.replace(" ", "") if chance(number) % 3 else "",
        "telephone_number_2": "",
        "mobile_number": _mobile(number) if chance(number, "mobile") % 4 else "",
        "email_address": who.email,
        "date_of_birth": "",
        "registration_number": f"{chance(number, 'company') % 10**8:08d}" if company else "",
        "vat_registration_number": "",
        "postcode": who.postcode.replace(" ", ""),
        "creation_date": day,
        "last_update_date": day,
    }
    versions = [(plan.created, body)]
    if plan.order_days:
        first = plan.order_days[0]
        customer = {"relationship_status": "Customer", "last_update_date": str(local_day(first))}
        versions.append((first, body | customer))
    return Relationship(number, versions)


def _mobile(key: object) -> str:
    """A mobile number from the range kept free for drama (Ofcom)."""
    return f"07700900{chance('mobile', key) % 1000:03d}"


class OrderStory:
    """Tells one order from its first version to its last."""

    def __init__(self, number: int, who: Person, created: datetime) -> None:
        self.draw = random.Random(f"quotevine order {number}")
        self.number = number
        self.who = who
        self.now = created
        self.versions: Versions = []
        self.body: Body = dict.fromkeys((*VENDOR_FIELDS, *DOCUMENT_FIELDS))
        self.used = self.draw.random() < 0.2

    def tell(self) -> Versions:
        """Every version: made, sent, signed, built, allocated, delivered - or cancelled."""
        self._make()
        self._on(0, 2, order_status="Sent to Customer", proposal_status="Documents Out")
        chapters = (self._sign, self._build, self._allocate, self._confirm, self._deliver)
        for chapter in chapters:
            if self.draw.random() < 0.02:
                self._cancel()
                break
            chapter()
        return [(moment, self._worded(body)) for moment, body in self.versions]

    def _later(self, least: int, most: int) -> datetime:
        """A moment in office hours some days from now."""
        day = local_day(self.now) + timedelta(days=self.draw.randint(least, most))
        return _after(self.now, office_hour(self.draw, day))

    def _on(self, least: int, most: int, **changes: object) -> None:
        """Go on by some days and write a version."""
        self._write(self._later(least, most), changes)

    def _write(self, moment: datetime, changes: Body) -> None:
        self.now = moment
        by = self.body["working_user_email"] or self.draw.choice(STAFF)
        stamped = {"last_updated_by": by, "last_update_date": local_stamp(moment)}
        self.body = {**self.body, **changes, **stamped}
        self.versions.append((moment, self.body))

    def _day(self, least: int, most: int) -> str:
        """A date some days from now."""
        return str(local_day(self.now) + timedelta(days=self.draw.randint(least, most)))

    def _make(self) -> None:
        draw, staff = self.draw, self.draw.choice(STAFF)
        wanted = local_day(self.now) + timedelta(days=20 if self.used else 75)
        self._write(
            self.now,
            {
                "proposal_id": 20295213 + self.number - FIRST_ORDER_ID,
                "order_status": "New Order",
                "order_date": str(local_day(self.now)),
                "created_by": staff,
                "creation_date": local_stamp(self.now),
                "k4k_flag": "N",
                "external_reference": 104 + self.number - FIRST_ORDER_ID,
                "quantity": 1,
                "dealer_id": draw.choice(DEALERS) if draw.random() > 0.08 else None,
                "target_delivery_date": draw.choice(PROSE).format(month=wanted.strftime("%B")),
                "delivery_property": f"{self.who.street} {self.who.town.upper()}",
                "delivery_postcode": self.who.postcode,
                "new_used": "USED" if self.used else draw.choice(("NEW", "NEW", "NEW", "Pre-reg")),
                "paint_option_code": None if self.used else draw.randint(10000, 99999),
                "trim_option_code": None if self.used else draw.randint(10000, 99999),
                "update_frequency_days": draw.choice(FREQUENCIES),
                "working_user_email": staff,
                "contact_name": self.who.full_name,
                "contact_telephone": self.who.telephone,
                "contact_mobile": _mobile(self.number),
                "contact_notes": draw.choice(NOTES),
            },
        )

    def _sign(self) -> None:
        draw = self.draw
        registree = draw.choice(("Customer", "Funder", "Funder", "Your Organisation"))
        house, _, street = self.who.street.partition(" ")
        self._on(
            1,
            6,
            order_status="Order Placed",
            proposal_status="Accepted",
            funder_order_number=f"FND-{draw.randint(100000, 999999)}",
            dealer_contact_id=draw.randint(7000, 7040) if self.body["dealer_id"] else None,
            discount_bonus_code_1=f"DB{draw.randint(10, 99)}" if draw.random() < 0.3 else None,
            discount_bonus_code_2=f"VOL{draw.randint(1, 9)}" if draw.random() < 0.1 else None,
            cooling_off_date=self._day(14, 14),
            int_target_delivery_date=self._day(10, 20) if self.used else self._day(50, 90),
            vehicle_registree=registree,
            registree_name=self.who.full_name if registree == "Customer" else "Example Finance plc",
            registree_house_number_name=house,
            registree_street=street,
            registree_locality=None,
            registree_town_city=self.who.town,
            registree_postcode=self.who.postcode,
        )

    def _build(self) -> None:
        """Build a new vehicle; a used one stands ready. Customers are told meanwhile."""
        if not self.used:
            tracking = f"BT{self.draw.randint(10**7, 10**8 - 1)}"
            self._on(3, 12, order_status="In Build", build_tracking_number=tracking)
        every = self.body["update_frequency_days"]
        if every:
            moment = self._later(every, every)
            self._write(moment, {"last_customer_update": local_stamp(moment)})

    def _allocate(self) -> None:
        draw = self.draw
        vin = "WXX" + "".join(draw.choices(LETTERS + "0123456789", k=8))
        changes: Body = {"vin": f"{vin}{draw.randint(0, 999999):06d}"}
        changes["registration_number"] = f"QV26 {''.join(draw.choices(LETTERS, k=3))}"
        if draw.random() < 0.1:
            changes |= {"k4k_flag": "Y", "k4k_registration_number": f"QV{draw.randint(1, 99)} K4K"}
        if draw.random() < 0.25:
            changes["funder_fleet_number"] = f"FL{draw.randint(1000, 9999)}"
        least, most = (1, 5) if self.used else (12, 50)
        self._on(least, most, order_status="Awaiting Delivery", **changes)

    def _confirm(self) -> None:
        """Confirm the delivery; for some it moves once more."""
        self._on(
            2,
            8,
            confirmed_delivery_date=self._day(12, 18),
            delivery_method=self.draw.choice(METHODS),
            delivery_slot=self.draw.choice(("AM", "PM")),
        )
        if self.draw.random() < 0.15:
            self._on(1, 3, confirmed_delivery_date=self._day(19, 24))

    def _deliver(self) -> None:
        day = date.fromisoformat(self.body["confirmed_delivery_date"])
        hour = 10 if self.body["delivery_slot"] == "AM" else 15
        moment = datetime.combine(day, time(hour, self.draw.randint(0, 59)), ZONE).astimezone(UTC)
        registered = str(day - timedelta(days=self.draw.randint(1, 3)))
        self._write(moment, {"order_status": "Delivered", "first_registration_date": registered})
        self._on(3, 10, order_status="Completed", profit_date=self._day(0, 2))

    def _cancel(self) -> None:
        moment = self._later(1, 9)
        reason = self.draw.choice(REASONS)
        changes = {"order_status": "Cancelled", "cancellation_reason": reason}
        self._write(moment, {**changes, "cancellation_date": str(local_day(moment))})

    def _worded(self, body: Body) -> Body:
        """A few orders come back with the names under which they were passed in."""
        if self.number % 40 not in (3, 17):
            return body
        passed = {name: alias for alias, name in ALIASES.items()}
        return {passed.get(name, name): value for name, value in body.items()}
