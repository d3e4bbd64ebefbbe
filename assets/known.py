"""What has been landed of one account.

Belongs here: questions to the lake's raw table, answered for one account. Does not belong here:
writing to it (`assets/landing.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from assets.erased import Erased
from resources.accounts import Account
from resources.arrays import moment_of, plain_rows
from resources.lake import Lake
from resources.lake_pick import Having, pick
from resources.lazily import lazily
from schemas.keys import order_key

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
else:
    duckdb = lazily("duckdb")
    pa = lazily("pyarrow")


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The newest landed observation of one order."""

    content_hash: str
    kind: str
    first_seen_at: datetime
    fetched_at: datetime
    """When its present content was first received."""
    observed_at: datetime
    """When it was last landed, by whatever kind of observation."""
    landing_seq: int


class Observed(msgspec.Struct, frozen=True):
    """The newest observation of one order as it was landed."""

    source_order_id: str
    kind: str
    body: str | None

    @property
    def is_missed(self) -> bool:
        """Whether the order is suspected or found to be deleted: being seen again is news."""
        return self.kind in ("suspected", "absent")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one order stands among deletions: its newest observation's kind, place and run."""

    kind: str
    landing_seq: int
    run_id: str


class Landed:
    """Reads one account's raw records. Not safe to use from several threads."""

    def __init__(self, lake: Lake, account: Account, erased: Erased | None = None) -> None:
        """`erased`: what may not be kept, for those who compare with what is."""
        self._lake = lake
        self._erased = erased
        self._account = account
        self._own = (account.source, account.name)
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def last_seq(self) -> int:
        """The account's newest landing sequence; 0 before anything was landed."""
        return self._lake.committed("raw", landing_stage(self._account))

    def ids(self) -> frozenset[str]:
        """Every source order id landed and not since found absent."""
        if not self.last_seq:
            return frozenset()
        rows = self._query(
            "SELECT source_order_id FROM raw WHERE source_order_id IS NOT NULL "
            "GROUP BY source_order_id HAVING arg_max(kind, landing_seq) <> 'absent'",
            None,
        )
        return frozenset(order_id for (order_id,) in rows)

    def landed_after(self, seq: int, ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that were landed after a landing sequence."""
        rows = self._query(
            "SELECT DISTINCT source_order_id FROM raw "
            f"WHERE landing_seq > {seq:d} AND source_order_id IN (SELECT id FROM wanted)",
            ids,
        )
        return frozenset(order_id for (order_id,) in rows)

    def received_since(self, moment: datetime, ids: Collection[str]) -> dict[str, datetime]:
        """Those of the ids that were read and landed since a moment, and when: UTC, our clock."""
        rows = self._query(
            "SELECT source_order_id, epoch_us(max(fetched_at)) FROM raw "
            "WHERE source_order_id IN (SELECT id FROM wanted) GROUP BY source_order_id "
            "HAVING arg_max(kind, landing_seq) IN ('read', 'present') "
            f"AND epoch_us(max(fetched_at)) >= {round(moment.timestamp() * 1_000_000)}",
            ids,
        )
        return {order_id: moment_of(int(received)) for order_id, received in rows}

    def standings(self) -> dict[str, Standing]:
        """Where each order with an id stands, tombstones included."""
        rows = self._query(
            "SELECT source_order_id, arg_max(kind, landing_seq), max(landing_seq), "
            "arg_max(run_id, landing_seq) FROM raw WHERE source_order_id IS NOT NULL "
            "GROUP BY source_order_id",
            None,
        )
        return {order_id: Standing(kind, int(seq), run) for order_id, kind, seq, run in rows}

    def records(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """The newest raw record of each id; keys are the columns of `raw`."""
        if not self._ready(ids):
            return {}
        return self._by_id(f"SELECT * FROM raw WHERE {_newest(ids)}")

    def readable(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """The newest record of each id that is not held in quarantine, of those that have one."""
        if not self._ready(ids):
            return {}
        quarantine = self._lake.read(self._opened(), "quarantine", account=self._own)
        quarantine.create_view("quarantine", replace=True)
        return self._by_id(
            "SELECT * FROM raw WHERE source_order_id IN (SELECT id FROM wanted) AND landing_seq "
            "NOT IN (SELECT landing_seq FROM quarantine WHERE is_held) QUALIFY row_number() "
            "OVER (PARTITION BY source_order_id ORDER BY landing_seq DESC) = 1"
        )

    def _by_id(self, select: str) -> dict[str, dict[str, Any]]:
        found = self._opened().execute(select).to_arrow_table().to_pylist()
        return {record["source_order_id"]: record for record in found}

    def newest(self, keys: Collection[str]) -> dict[str, Newest]:
        """The newest observation of each of these order keys that was ever landed."""
        if not keys:
            return {}
        seen: dict[str, list[tuple[Any, ...]]] = {}
        for rows in self._picked(("order_key", *_SEEN), ("order_key", keys)):
            for key, *row in plain_rows(rows):
                seen.setdefault(key, []).append(tuple(row))
        return {key: _newest_of(sorted(rows)) for key, rows in seen.items()}

    def observed(self, ids: Collection[str]) -> Iterator[Observed]:
        """The newest observation of each of these ids that was ever landed.

        No more of them are in memory at a time than one row group of the lake holds.
        """
        source, name = self._own
        by_key = {order_key(source, name, order_id): order_id for order_id in ids}
        newest: dict[str, tuple[int, str]] = {}
        for rows in self._picked(("order_key", "landing_seq", "kind"), ("order_key", by_key)):
            for key, *row in plain_rows(rows):
                newest[key] = max(newest.get(key, (0, "")), tuple(row))
        by_seq = {seq: (by_key[key], kind) for key, (seq, kind) in newest.items()}
        if not by_seq:
            return
        last = min(by_seq) - 1
        for rows in self._picked(("landing_seq", "body"), ("landing_seq", by_seq), after=last):
            for seq, body in plain_rows(rows):
                yield Observed(*by_seq[seq], body)

    def values(
        self, paths: Sequence[str], ids: Collection[str] | None = None
    ) -> dict[str, tuple[str | None, ...]]:
        """The newest landed record's JSON values, as text, at the given JSON paths, by id."""
        read = ", ".join(f"json_extract_string(body, '{path}')" for path in paths)
        rows = self._query(f"SELECT source_order_id, {read} FROM raw WHERE {_newest(ids)}", ids)
        return {row[0]: tuple(row[1:]) for row in rows}

    def bodies(self, ids: Collection[str]) -> dict[str, bytes]:
        """The newest landed record of each id, as landed."""
        found = ((each.source_order_id, each.body) for each in self.observed(ids))
        return {order_id: body.encode() for order_id, body in found if body is not None}

    def as_kept(self, order_id: str, body: bytes) -> bytes:
        """A body just received as it would be landed: without what tells of erased persons."""
        if self._erased is None:
            return body
        key = order_key(self._account.source, self._account.name, order_id)
        found = self._erased.apply(key, body.decode("utf-8", errors="replace"))
        return body if found is None else found.body.encode("utf-8", errors="replace")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _picked(
        self, columns: Sequence[str], having: Having, *, after: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """Rows of `raw` by the values of one column; of nothing landed, no table is opened."""
        if not self.last_seq:
            return iter(())
        return pick(self._lake, "raw", columns, account=self._own, after=after, having=having)

    def _query(self, select: str, ids: Collection[str] | None) -> list[tuple[str, ...]]:
        if not self._ready(ids):
            return []
        return self._opened().execute(select).fetchall()

    def _ready(self, ids: Collection[str] | None) -> bool:
        """Make `raw`, and of ids `wanted`, readable; False where there is nothing to read."""
        if not self.last_seq or (ids is not None and not ids):
            return False
        connection = self._opened()
        if ids is not None:
            connection.register("wanted", pa.table({"id": pa.array(list(ids), pa.string())}))
        self._lake.read(connection, "raw", account=self._own).create_view("raw", replace=True)
        return True

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect()
            self._connection.execute("SET TimeZone = 'UTC'")
        return self._connection


def landing_stage(account: Account) -> str:
    """The stage under which an account's raw records are committed."""
    return f"land:{account.key}"


def _newest(ids: Collection[str] | None) -> str:
    some = "" if ids is None else "WHERE source_order_id IN (SELECT id FROM wanted)"
    return (
        "source_order_id IS NOT NULL AND landing_seq IN "
        f"(SELECT max(landing_seq) FROM raw {some} GROUP BY source_order_id)"
    )


_SEEN = ("landing_seq", "content_hash", "kind", "first_seen_at", "fetched_at")


def _newest_of(rows: Sequence[tuple[Any, ...]]) -> Newest:
    """What all observations of an order, in landing order, come to."""
    last_seq, content_hash, kind, _, observed = rows[-1]
    first_seen = min(row[3] for row in rows)
    before = (None, *(row[1] for row in rows))
    fetched = max(row[4] for row, old in zip(rows, before, strict=False) if row[1] != old)
    return Newest(
        content_hash,
        kind,
        moment_of(first_seen),
        moment_of(fetched),
        moment_of(observed),
        last_seq,
    )
