"""Erasing one person from everything that is kept, and proving it.

Belongs here: the order of the steps, and the leases under which each is done. Does not belong here:
who the person is (`assets/erase_search.py`), what goes of an order (`assets/erased.py`), the search
afterwards (`resources/proof.py`), Dagster.

The intent is in the ledger before anything is rewritten; from then on nothing that is received
brings the person back. Every step may be repeated, so an erasure that died is begun again from its
first step: raw records, what is made of them, the published file, then all that is older than
these. Nothing is deleted before what takes its place is on the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy.engine import make_url

from assets.erase_search import Found
from assets.erased import Erased
from assets.holding_back import note
from assets.known import landing_stage
from assets.landing import LEASE as LANDING
from assets.landing import PATIENCE, content_hash
from assets.marts import MARTS
from assets.normalise import LEASE as NORMALISE
from assets.normalise import rewriting
from assets.persons import CUSTOMER_ID
from assets.push import PUSH
from assets.reference import reference
from assets.sources import source as source_of
from assets.workshop import Workshop
from resources.accounts import Account
from resources.erasures import BEGUN, LEFT, PROVEN, UNPROVEN, Erasure
from resources.errors import WarehouseError
from resources.lake import AccountKey
from resources.proof import Finding, Proof, search
from resources.publication import published_files
from resources.scrub import Scrubber, compact
from schemas.keys import NAMELESS, nameless_key, order_key
from schemas.lake import LAKE

CHUNK = 2000
"""Raw records read or written at once; bounds memory."""
NOTHING_SOUGHT = "no value of the person is known to search for, no file was searched"
LOGS = frozenset({".log", ".err", ".out", ".txt"})


@dataclass(frozen=True)
class _New:
    """What a raw record is rewritten to."""

    order_key: str
    body: str
    content_hash: str


class Eraser:
    """Erases persons from one home."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._lake = workshop.lake
        self._ledger = workshop.ledger

    def begin(self, found: Found, digests: list[str]) -> Erasure:
        """Note what is about to be erased; of one that was begun before, go on with that.

        Raises ConfigurationError for an account that is no longer in accounts.toml: what is kept of
        it could not be made anew from the blanked records.
        """
        for key in found.accounts:
            self._workshop.accounts.get(key)
        erasures = self._ledger.erasures
        begun = erasures.unfinished(digests)
        if begun is None:
            counts = {
                account: {"raw": count, **self._made_of(account, found.orders.get(account, {}))}
                for account, count in found.records.items()
            }
            new = erasures.begin(found.person.kind, found.accounts, counts, found.marks)
            begun = erasures.get(new)
        assert begun is not None, "it has just been noted"
        return begun

    def carry_out(self, erasure: Erasure, values: Collection[str]) -> Proof | None:
        """Do all of it. Without the person's values nothing is proven, and it stays begun.

        By customer id it ends unproven then: from the id alone no values are known a second time.
        """
        accounts = self._workshop.accounts
        for key in erasure.accounts:
            account = accounts.get(key)
            self._rewrite(account)
            self._workshop.normaliser(account).replay()
        for account in accounts:
            if PUSH in source_of(account.source).ways:
                self._blank_registrations(account)
        self._publish(erasure.erasure_id)
        for table in LAKE:
            self._purge(table)
        if not values:
            if erasure.asked_by == CUSTOMER_ID and erasure.state == BEGUN:
                self._ledger.erasures.end(erasure.erasure_id, UNPROVEN, NOTHING_SOUGHT)
            return None
        proof = self._prove(values)
        state = PROVEN if proof.is_clean else LEFT
        self._ledger.erasures.end(erasure.erasure_id, state, told(proof))
        return proof

    def _made_of(self, account: str, orders: Mapping[str, str]) -> dict[str, int]:
        """Table -> records made of these orders that may tell of the person."""
        source, _, name = account.partition(".")
        counts = {"orders": len(orders)}
        with duckdb.connect() as connection:
            connection.register("wanted", pa.table({"order_key": pa.array(orders, pa.string())}))
            for table in ("order_parties", "quarantine"):
                view = f"lake_{table}"
                self._lake.read(connection, table, account=(source, name)).create_view(view)
                read = f"SELECT COUNT(*) FROM {view} SEMI JOIN wanted USING (order_key)"
                [(counts[table],)] = connection.execute(read).fetchall()
        return counts

    def _rewrite(self, account: Account) -> int:
        """Blank what is landed of erased persons, under the lease of whoever lands; how much."""
        own = (account.source, account.name)
        with (
            self._ledger.lease(account.key, LANDING, wait=PATIENCE) as lease,
            rewriting(self._ledger, "raw"),
        ):
            new = self._blanked(account)
            if new:
                lease.check()
                stage = landing_stage(account)
                last = self._lake.committed("raw", stage)
                with duckdb.connect() as connection:
                    batches = self._batches(connection, own, new)
                    self._lake.replace_account(
                        "raw", own, batches, stage=stage, batch=last, after=last
                    )
        return len(new)

    def _blanked(self, account: Account) -> dict[int, _New]:
        """Landing sequence -> what the record is rewritten to."""
        erased = Erased(account.source, account.key, self._ledger.erasures)
        erased.refresh()
        new: dict[int, _New] = {}
        with duckdb.connect() as connection:
            self._lake.read(connection, "raw", account=(account.source, account.name)).create_view(
                "raw"
            )
            reader = connection.execute(
                "SELECT landing_seq, order_key, body FROM raw WHERE body IS NOT NULL "
                "ORDER BY landing_seq"
            )
            while rows := reader.fetchmany(CHUNK):
                for seq, key, body in rows:
                    found = erased.apply(key, body)
                    if found is None:
                        continue
                    is_nameless = key.rpartition(":")[2].startswith(NAMELESS)
                    if found.orders and not is_nameless:
                        self._ledger.erasures.note_orders(found.orders)
                        erased.refresh()
                    if found.fields:
                        new[seq] = _new(account, key, found.body, is_nameless=is_nameless)
        return new

    def _batches(
        self, connection: duckdb.DuckDBPyConnection, own: AccountKey, new: Mapping[int, _New]
    ) -> Iterator[pa.Table]:
        """The account's raw records in landing order, the blanked ones in their places.

        The lake is read from here and not from what is returned: that is drawn while it is locked.
        """
        connection.execute("SET TimeZone = 'UTC'")
        self._lake.read(connection, "raw", account=own).create_view("raw")
        reader = connection.execute("SELECT * FROM raw ORDER BY landing_seq").to_arrow_reader(CHUNK)
        return (_replaced(pa.Table.from_batches([batch]), new) for batch in reader)

    def _blank_registrations(self, account: Account) -> None:
        """Blank what is kept of registrations that are not landed, while nobody pushes."""
        erased = Erased(account.source, account.key, self._ledger.erasures)
        registrations = self._ledger.registrations
        with self._ledger.lease(account.key, PUSH, wait=PATIENCE):
            erased.refresh()
            for each in registrations.kept(account.key):
                assert each.body is not None, "only those are asked for"
                key = order_key(account.source, account.name, each.external_id)
                found = erased.apply(key, each.body)
                if found is not None and found.fields:
                    registrations.blank(account.key, each.external_id, found.body)

    def _publish(self, erasure_id: str) -> None:
        """Build the published file from scratch, and remove every other one.

        An account may be held back: its older versions are blanked in the lake as the newer are.

        Raises WarehouseError where an account does not hold together even so.
        """
        workshop = self._workshop
        if not workshop.warehouse.path.exists() and not self._lake.accounts("orders"):
            return
        try:
            made = workshop.warehouse.publish(MARTS, reference(workshop), keep_nothing=True)
        except WarehouseError as error:
            remedy = f"{error.remedy}; then run orderloom erase again"
            raise WarehouseError(error.what, error.where, remedy) from error
        note(workshop, made, erasure_id)
        workshop.warehouse.forget()

    def _purge(self, table: str, *, with_log: bool = False) -> None:
        """Delete what only older versions name, while nobody writes to the table."""
        purpose = LANDING if table == "raw" else NORMALISE
        keys = {account.key for account in self._workshop.accounts}
        keys |= {".".join(own) for own in self._lake.accounts(table)}
        with ExitStack() as held:
            for key in sorted(keys):
                held.enter_context(self._ledger.lease(key, purpose, wait=PATIENCE))
            held.enter_context(rewriting(self._ledger, table))
            self._lake.purge(table, with_log=with_log)

    def _prove(self, values: Collection[str]) -> Proof:
        """Search everything; what logs and databases hold by accident is overwritten first."""
        proof = self.prove(values)
        if proof.is_clean:
            return proof
        self._scrub(proof.findings, Scrubber(values))
        return self.prove(values)

    def prove(self, values: Collection[str]) -> Proof:
        """Search every file of the home for values, and the lake and ledger where they are."""
        proof = search(self._roots(), values, published_files(self._workshop.places.marts))
        if self._lake.root is None:
            proof.findings.append(
                Finding(Path(self._lake.url), "the lake is on an object store", is_unread=True)
            )
        if self._ledger_file() is None:
            backend = make_url(self._workshop.places.ledger).get_backend_name()
            proof.findings.append(
                Finding(Path(backend), "the ledger is in a database server", is_unread=True)
            )
        return proof

    def _roots(self) -> list[Path]:
        places = self._workshop.places
        roots = [places.home]
        if self._lake.root is not None:
            roots.append(self._lake.root)
        ledger = self._ledger_file()
        if ledger is not None:
            roots += ledger.parent.glob(f"{ledger.name}*")
        return roots

    def _ledger_file(self) -> Path | None:
        """The ledger's file, where it is SQLite's."""
        url = make_url(self._workshop.places.ledger)
        is_file = url.get_backend_name() == "sqlite" and url.database
        return Path(str(url.database)).absolute() if is_file else None

    def _scrub(self, findings: list[Finding], scrubber: Scrubber) -> None:
        """Overwrite what was found in logs and databases that should not hold it."""
        ledger = self._ledger_file()
        dagster = self._workshop.places.dagster
        files = {each.file for each in findings if not each.is_unread}
        for table in LAKE:
            if any(self._is_log_of(table, file) for file in files):
                self._purge(table, with_log=True)
        if ledger is not None and any(file.name.startswith(ledger.name) for file in files):
            self._ledger.rewrite(scrubber.text)
            compact(ledger)
        for file in sorted(files):
            if not file.exists() or (ledger and file.name.startswith(ledger.name)):
                continue
            if file.suffix == ".db" and dagster in file.parents:
                scrubber.database(file)
            elif file.suffix in LOGS or file == self._workshop.places.shell_history:
                scrubber.file(file)

    def _is_log_of(self, table: str, file: Path) -> bool:
        root = self._lake.root
        return root is not None and root / table / "_delta_log" in file.parents


def told(proof: Proof) -> str:
    """What a search came to, in one line that names nobody."""
    if proof.is_clean:
        return f"{proof.files:,} files read, nothing left"
    unread = sum(each.is_unread for each in proof.findings)
    places = len(proof.findings) - unread
    return f"{proof.files:,} files read, something left in {places:,} places, {unread:,} not read"


def _new(account: Account, key: str, body: str, *, is_nameless: bool) -> _New:
    digest = content_hash(source_of(account.source), body.encode("utf-8", errors="replace"))
    if is_nameless:
        key = nameless_key(account.source, account.name, digest)
    return _New(key, body, digest)


def _replaced(rows: pa.Table, new: Mapping[int, _New]) -> pa.Table:
    places = [new.get(seq) for seq in rows["landing_seq"].to_pylist()]
    if not any(places):
        return rows
    for name in ("order_key", "body", "content_hash"):
        values = [
            old if place is None else getattr(place, name)
            for old, place in zip(rows[name].to_pylist(), places, strict=True)
        ]
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, LAKE["raw"].field(name), pa.array(values, pa.string()))
    return rows
