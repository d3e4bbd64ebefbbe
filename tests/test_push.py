"""Pushing: each order is registered at most once, whatever is lost or killed on the way."""

from __future__ import annotations

import json

import pytest

from resources.errors import ApiError, ConfigurationError, LedgerError
from tests.pushing import KEY, LOGIN, Desk, ids


def test_planning_sends_nothing_and_notes_nothing(desk: Desk) -> None:
    plan = desk.plan()
    assert sum(each.outgoing is not None for each in plan.chosen) > 1000
    assert plan.skipped["shipping status not_shipped"] > 100
    assert not [each for each in plan.skipped if "registered" in each]
    assert desk.box.requests(KEY) == 0
    assert desk.workshop.ledger.registrations.taken(KEY) == {}


def test_each_order_is_sent_once_as_planned_and_becomes_a_registration(desk: Desk) -> None:
    planned = [json.loads(each.outgoing.body) for each in desk.plan().chosen if each.outgoing]
    first, second = desk.push(limit=4), desk.push(limit=3)
    assert desk.registered() == planned[:7]
    assert (first.counts["accepted"], first.landed) == (4, 4)
    assert (second.counts["accepted"], second.landed) == (3, 3)
    assert first.requests == LOGIN + 4
    desk.publish()
    assert desk.published() == set(ids(desk))
    assert desk.plan().skipped["registered already"] == 7


def test_marts_have_every_field_of_a_registration(desk: Desk) -> None:
    desk.push(limit=40)
    desk.publish()
    sent = {body["external_id"]: body for body in desk.registered()}
    orders = desk.rows(
        "SELECT o.*, c.order_key AS commercial FROM orders AS o "
        "LEFT JOIN orders AS c ON c.order_key = o.parent_order_key "
        "WHERE o.source_system = 'feedback_company'"
    )
    assert {order["source_order_id"] for order in orders} == set(sent)
    for order in orders:
        assert order["commercial"] == order["order_number"] == order["source_order_id"]
        assert order["order_type"] == "review_registration"
        assert order["invitation_status"] == "scheduled"
        assert json.loads(order["source_fields"]) == {
            "invitation_delay_unit": "days",
            "invitation_delay_amount": 2,
            "reminder_delay_unit": "days",
            "reminder_delay_amount": 7,
            "filtercode": "gift-shop",
        }
    rows = desk.rows(
        "SELECT o.source_order_id, r.product_id, r.product_name, r.sku, r.product_url, r.row_no "
        "FROM order_rows AS r JOIN orders AS o USING (order_key) "
        "WHERE o.source_system = 'feedback_company' ORDER BY o.source_order_id, r.row_no"
    )
    expected = [
        (order_id, each["external_id"], each["name"], each.get("sku"), each["url"], place)
        for order_id, body in sorted(sent.items())
        for place, each in enumerate(body["products"], start=1)
    ]
    assert [tuple(row.values()) for row in rows] == expected
    parties = desk.rows(
        "SELECT o.source_order_id, p.role, p.email, p.full_name FROM order_parties AS p "
        "JOIN orders AS o USING (order_key) WHERE o.source_system = 'feedback_company'"
    )
    assert sorted(tuple(row.values()) for row in parties) == sorted(
        (key, "customer", body["customer"]["email"], body["customer"].get("fullname"))
        for key, body in sent.items()
    )


def test_registrations_are_no_revenue(desk: Desk) -> None:
    question = "SELECT * FROM sales_by_month ORDER BY ALL"
    before = desk.rows(question)
    assert before
    desk.push(limit=20)
    desk.publish()
    assert desk.rows(question) == before
    assert desk.rows("SELECT * FROM daily_orders WHERE source_system = 'feedback_company'") == []


def test_the_ledger_forgets_what_was_sent_once_it_is_landed(desk: Desk) -> None:
    desk.push(limit=2)
    emails = [body["customer"]["email"].encode() for body in desk.registered()]
    desk.workshop.close()
    kept = [file.read_bytes() for file in desk.workshop.places.home.glob("ledger.sqlite*")]
    assert kept
    assert not [email for email in emails for text in kept if email in text]


# What is lost on the way.


def _lost(desk: Desk, kind: str = "lost_reply", after: int = 1) -> str:
    """A push of which the second order meets a fault; the id of that order."""
    desk.box.fault(KEY, kind, method="POST", after=after)
    with pytest.raises(ApiError, match="--resolve"):
        desk.push(limit=5)
    (waiting,) = desk.open()
    assert waiting.state == "uncertain"
    return waiting.external_id


@pytest.mark.parametrize("kind", ["lost_reply", "truncated", "invalid_json", "html"])
def test_what_was_accepted_without_a_readable_reply_is_never_sent_again(
    desk: Desk, kind: str
) -> None:
    lost = _lost(desk, kind)
    acted = kind != "html"
    assert ids(desk)[1:] == [lost] * acted, "the push ended there"
    posts = desk.box.requests(KEY)
    again = desk.push(limit=2)
    assert desk.box.requests(KEY) == posts + LOGIN + 2
    assert again.counts == {"accepted": 2}
    assert desk.state(lost) == "uncertain"
    assert ids(desk).count(lost) == acted
    assert desk.plan().skipped["uncertain: waits for a decision"] == 1


@pytest.mark.parametrize("kind", ["error", "unavailable", "reset"])
def test_a_fault_of_the_server_is_in_doubt_and_not_repeated(desk: Desk, kind: str) -> None:
    lost = _lost(desk, kind)
    assert desk.box.requests(KEY) == LOGIN + 2
    assert ids(desk) != [lost]


def test_what_is_decided_to_be_accepted_is_landed(desk: Desk) -> None:
    lost = _lost(desk)
    desk.workshop.pusher.decide(desk.account, lost, "accepted")
    assert desk.push(limit=0).landed == 1
    desk.publish()
    assert desk.published() == set(ids(desk))
    (order,) = desk.rows(f"SELECT * FROM orders WHERE source_order_id = '{lost}'")
    assert order["invitation_status"] == "unknown", "no reply ever said so"
    assert desk.open() == []


def test_what_is_decided_to_be_refused_is_never_sent(desk: Desk) -> None:
    lost = _lost(desk, "reset")
    desk.workshop.pusher.decide(desk.account, lost, "refused")
    desk.push(limit=3)
    assert lost not in ids(desk)
    assert desk.open() == []
    assert desk.plan().skipped["refused before"] == 1


def test_what_is_decided_to_be_sent_again_is_sent_once(desk: Desk) -> None:
    lost = _lost(desk, "reset")
    desk.workshop.pusher.decide(desk.account, lost, "again")
    desk.push(limit=3)
    desk.push(limit=3)
    assert ids(desk).count(lost) == 1
    assert desk.state(lost) == "accepted"


def test_a_wrong_decision_to_send_again_is_refused_there_and_can_be_put_right(desk: Desk) -> None:
    lost = _lost(desk)
    desk.workshop.pusher.decide(desk.account, lost, "again")
    assert desk.push(limit=2).counts == {"refused": 1, "accepted": 1}
    (waiting,) = desk.open()
    assert (waiting.external_id, waiting.state) == (lost, "refused")
    assert "already in use" in str(waiting.reason)
    desk.workshop.pusher.decide(desk.account, lost, "accepted")
    desk.push(limit=0)
    desk.publish()
    assert desk.published() == set(ids(desk))


def test_only_what_waits_can_be_decided(desk: Desk) -> None:
    desk.push(limit=1)
    (sent,) = ids(desk)
    for external_id in (sent, "brightpearl:acme:none"):
        with pytest.raises(LedgerError, match="nothing to decide"):
            desk.workshop.pusher.decide(desk.account, external_id, "again")
    assert desk.state(sent) == "accepted"


def test_what_was_certainly_not_acted_on_is_sent_by_the_next_push(desk: Desk) -> None:
    desk.box.fault(KEY, "forbidden", method="POST", after=1)
    with pytest.raises(ApiError, match="403"):
        desk.push(limit=3)
    assert desk.open() == []
    planned = [each.outgoing for each in desk.plan().chosen if each.outgoing]
    assert desk.push(limit=2).counts == {"accepted": 2}
    assert ids(desk)[1:] == [each.external_id for each in planned[:2]]
    assert len(ids(desk)) == 3


def test_a_token_revoked_in_the_middle_costs_nothing(desk: Desk) -> None:
    desk.box.fault(KEY, "revoked", method="POST", after=1)
    assert desk.push(limit=3).counts == {"accepted": 3}
    assert len(ids(desk)) == 3


def test_throttling_is_waited_for_and_nothing_is_in_doubt(desk: Desk) -> None:
    desk.box.fault(KEY, "throttled", method="POST", after=1, wait=0.2)
    push = desk.push(limit=3)
    assert push.counts == {"accepted": 3}
    assert push.requests == LOGIN + 4


def test_an_api_that_refuses_everything_is_not_asked_on(desk: Desk) -> None:
    desk.box.fault(KEY, "rejected", method="POST", times=None)
    with pytest.raises(ApiError, match="5 orders one after the other were refused"):
        desk.push()
    assert len(desk.open()) == 5
    desk.box.clear_faults()
    assert desk.push(limit=1).counts == {"accepted": 1}


def test_nothing_that_was_refused_is_sent_again_by_itself(desk: Desk) -> None:
    desk.box.fault(KEY, "rejected", method="POST", times=1)
    desk.push(limit=2)
    (waiting,) = desk.open()
    assert waiting.state == "refused"
    desk.push(limit=2)
    assert waiting.external_id not in ids(desk)


def test_a_customer_is_invited_once_in_so_many_days(desk: Desk) -> None:
    head = "[feedback_company.reviews.push]"
    recent = f"{head}\nplaced_after = 2026-10-18"
    desk.change_rule(lambda text: text.replace(head, recent))
    before = [each.order.email for each in desk.plan().chosen if each.outgoing]
    assert len(set(before)) < len(before), "some customers have ordered twice"
    desk.change_rule(lambda text: text.replace(head, f"{head}\nexclude_emails_seen_days = 30"))
    planned = [each.order.email for each in desk.plan().chosen if each.outgoing]
    assert sorted(planned, key=str) == sorted(set(before), key=str)
    desk.push(limit=30)
    lost = _lost(desk, after=0)
    assert lost in ids(desk)
    desk.workshop.pusher.settle(desk.account, "settled")
    seen = {body["customer"]["email"] for body in desk.registered()}
    assert len(seen) == 31
    plan = desk.plan()
    assert {each.order.email for each in plan.chosen if each.outgoing} == set(before) - seen
    assert plan.skipped["customer invited within 30 days"] == len(before) - 31 - (
        len(set(before)) - 31
    )


def test_a_rule_for_accounts_that_are_not_there_is_told_before_any_request(desk: Desk) -> None:
    desk.change_rule(lambda text: text.replace('["brightpearl.acme"]', '["brightpearl.acne"]'))
    with pytest.raises(ConfigurationError, match=r"brightpearl\.acne") as caught:
        desk.push()
    assert "key from_accounts" in str(caught.value)
    assert desk.box.requests(KEY) == 0


def test_what_is_told_of_a_refusal_names_nobody(desk: Desk) -> None:
    desk.box.fault(KEY, "rejected", method="POST", times=1, body="no: ann@example.com, Ann")
    desk.push(limit=1)
    (waiting,) = desk.open()
    assert "no: [e-mail], Ann" in str(waiting.reason)
