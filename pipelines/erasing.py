"""`orderloom erase`: what it would erase, what it erased, and what it proves.

Belongs here: questions to the person who erases, and tables that name nobody. Does not belong here:
the work (`assets/erase.py`), starting a run (`pipelines/running.py`).

The person's values stay in this process: the run's configuration names the erasure by its id.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from assets.erase import NOTHING_SOUGHT, Eraser, told
from assets.erase_search import Found, Person, Search
from assets.persons import CUSTOMER_ID, EMAIL, NAME
from assets.workshop import Workshop
from pipelines import console
from pipelines.commands import exit_code, tell
from pipelines.running import Runner
from resources import redaction
from resources.erasures import BEGUN, EVERYWHERE, UNPROVEN, Erasure
from resources.errors import ConfigurationError
from resources.proof import Proof

MOST_SHOWN = 20
STAYS = (
    "Amounts, products, quantities, statuses, dates and order keys stay. The sources still have "
    "the person: erase them there as well; what comes from there is blanked from now on."
)


def erase(
    email: str | None,
    name: str | None,
    customer_id: str | None,
    account: str | None,
    *,
    yes: bool,
    namesakes: bool,
) -> int:
    """Show what would be erased; with `yes` erase it, and prove it."""
    workshop = Workshop()
    person = _person(email, name, customer_id, account)
    if person.account:
        workshop.accounts.get(person.account)
    search = Search(workshop.lake, workshop.ledger.erasures)
    found = search.find(person)
    digests = search.digests(person)
    begun = workshop.ledger.erasures.unfinished(digests)
    _show(found, begun)
    if begun is None and not found.accounts and not yes:
        return _nothing(workshop, found)
    if not yes:
        console.out.print("Nothing was erased. Erase it: the same command with --yes")
        workshop.close()
        return 0
    if begun is None and not found.accounts:
        raise ConfigurationError(
            "no order tells of the person: nothing was erased, and nothing noted",
            f"--{person.kind.replace('_', '-')}",
            "check the value; the same command without --yes searches every file",
        )
    if len(found.emails) > 1 and person.kind == NAME and not namesakes:
        raise ConfigurationError(
            f"{len(found.emails)} e-mail addresses go by this name, perhaps as many persons",
            "--name",
            "erase one of them by --email, or all of them with --namesakes",
        )
    return _carry_out(workshop, found, digests)


def show_all() -> int:
    """Show every erasure; 1 where one is unfinished."""
    workshop = Workshop()
    erasures = workshop.ledger.erasures.all()
    rows = [
        (
            each.erasure_id,
            each.asked_by,
            f"{each.begun_at:%Y-%m-%d %H:%M}",
            each.state,
            "; ".join(_counted(each)),
            each.proof or "",
        )
        for each in erasures
    ]
    if rows:
        columns = ("erasure", "by", "begun (UTC)", "state", "erased", "proof")
        console.table("", columns, rows)
    else:
        console.out.print("nobody was erased")
    workshop.close()
    return int(any(each.state == BEGUN for each in erasures))


def release(erasure_id: str) -> int:
    """Keep again what the person orders anew."""
    workshop = Workshop()
    if not workshop.ledger.erasures.release(erasure_id):
        raise ConfigurationError(
            "there is no finished erasure of that id", erasure_id, "see `orderloom erase --list`"
        )
    workshop.close()
    console.out.print(f"{erasure_id}: new orders are kept as they come; what was erased stays so")
    return 0


def _person(
    email: str | None, name: str | None, customer_id: str | None, account: str | None
) -> Person:
    given = [
        (kind, text)
        for kind, text in ((EMAIL, email), (NAME, name), (CUSTOMER_ID, customer_id))
        if text is not None
    ]
    if len(given) != 1:
        raise ConfigurationError(
            "give one of --email, --name and --customer-id", "erase", "`orderloom erase --help`"
        )
    [(kind, text)] = given
    text = (sys.stdin.readline() if text == "-" else text).strip()
    if not text or (kind == CUSTOMER_ID and account is None) or (kind == EMAIL and account):
        raise ConfigurationError(
            "the value is empty, or --account is missing or out of place",
            f"--{kind.replace('_', '-')}",
            "a customer id needs --account, a name may have it, an e-mail address has none",
        )
    return Person(kind, text, account or EVERYWHERE)


def _show(found: Found, begun: Erasure | None) -> None:
    rows = [
        (account, len(found.orders.get(account, {})), found.records[account])
        for account in found.accounts
    ]
    if rows:
        console.table("Tells of the person", ("account", "orders", "raw records"), rows)
        console.out.print(f"e-mail addresses among them: {len(found.emails)}")
    if found.shared:
        console.out.print(
            f"{found.shared} of the person's values stand in other people's orders as well, "
            "and stay there"
        )
    if found.left_out:
        console.out.print(
            f"{found.left_out} of the person's values are short, placeholders or words that stand "
            "in every home: they are blanked, and not searched for afterwards",
            soft_wrap=True,
        )
    for account, count in sorted(found.doubtful.items()):
        console.out.print(
            f"{account}: {count:,} orders bear the same customer id with another name or address; "
            "they stay, unless you erase by --customer-id"
        )
    if begun is not None:
        console.out.print(_begun(begun, found), soft_wrap=True)


def _begun(begun: Erasure, found: Found) -> str:
    """That it is unfinished, and how much of a proof can still be had."""
    sought = [] if found.person.kind == CUSTOMER_ID else ["the value given"]
    if others := len(found.values) - len(sought):
        sought.append(f"{others:,} values that orders still hold")
    return (
        f"erasure {begun.erasure_id} was begun and not finished. What it has blanked is not known "
        f"any more: the search afterwards is for {' and '.join(sought) or 'nothing'}, and no more"
    )


def _nothing(workshop: Workshop, found: Found) -> int:
    """No order names the person: look whether anything else does."""
    if not found.values:
        workshop.close()
        console.complain(f"No order tells of the person: {NOTHING_SOUGHT}")
        return 1
    proof = Eraser(workshop).prove(found.values)
    workshop.close()
    console.out.print(f"No order tells of the person. {told(proof)}")
    return _places(proof)


def _carry_out(workshop: Workshop, found: Found, digests: Sequence[str]) -> int:
    erasure = Eraser(workshop).begin(found, list(digests))
    workshop.sought = frozenset(found.values)
    for value in found.values:
        redaction.register(value)
    console.out.print(f"erasure {erasure.erasure_id}")
    with Runner(workshop) as runner:
        ran = [runner.erase(erasure.erasure_id)]
        tell(ran)
        if workshop.proof is None:
            _tell_unproven(workshop, erasure.erasure_id)
            return max(exit_code(ran), 1)
        proof = workshop.proof
    for line in _counted(erasure):
        console.out.print(line)
    console.out.print(told(proof))
    console.out.print(STAYS, soft_wrap=True)
    return max(exit_code(ran), _places(proof))


def _tell_unproven(workshop: Workshop, erasure_id: str) -> None:
    ended = workshop.ledger.erasures.get(erasure_id)
    if ended is not None and ended.state == UNPROVEN:
        console.complain(f"carried out and not proven: {NOTHING_SOUGHT}")
    else:
        console.complain("unfinished: repeat the command; what is blanked already is not searched")


def _counted(erasure: Erasure) -> list[str]:
    return [
        f"{account}: " + ", ".join(f"{count:,} {table}" for table, count in sorted(counts.items()))
        for account, counts in sorted(erasure.counts.items())
    ]


def _places(proof: Proof) -> int:
    for finding in proof.findings[:MOST_SHOWN]:
        console.complain(f"left: {finding}")
    if len(proof.findings) > MOST_SHOWN:
        console.complain(f"and in {len(proof.findings) - MOST_SHOWN:,} further places")
    return 0 if proof.is_clean else 1
