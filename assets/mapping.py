"""One chunk of raw records through one source's SQL mapping.

Belongs here: what is the same for every source when raw JSON becomes canonical records: the tables
and statements that are kept from chunk to chunk, the columns that are ours. Does not belong here:
what a field means (NAME.sql), what is at fault (`assets/mapping_faults.py`), where records come
from and go to (`assets/normalise.py`).

The result is a pure function of the records, the mapping and the account's status map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets import mapping_faults
from assets.exact_numbers import with_exact_numbers
from assets.mapped_columns import expression
from assets.mapping_connection import mapping_connection, shown
from assets.mapping_sections import MappingError, sections, with_values
from resources.accounts import Account
from resources.arrays import in_landing_order, no_rows, numbers
from resources.lazily import lazily
from schemas.lake import LAKE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    duckdb = lazily("duckdb")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

_TARGETS = ("orders", "order_rows", "order_parties")
LAKE_TABLES = (*_TARGETS, "quarantine")
_AS_INCOMING = (
    "*, order_key || '@' || landing_seq AS version_id, "
    "source_order_id IS NOT NULL AND COALESCE(json_valid(body), FALSE) AS is_readable"
)


class Unmappable(Exception):
    """A record's content stops the mapping; says how, without the content."""


@dataclass(frozen=True)
class Mapped:
    """The canonical records of one chunk, by lake table."""

    tables: Mapping[str, pa.Table]

    def count(self, table: str) -> int:
        """Number of records for one table."""
        return int(self.tables[table].num_rows)


class Mapper:
    """Runs one account's mapping in a DuckDB connection of its own, in memory."""

    def __init__(self, account: Account, mapping: Mapping[str, str] | None = None) -> None:
        """Reads the macros; the mapping itself is planned for the first chunk."""
        self._account = account
        found = mapping if mapping is not None else sections(account.source)
        self._sections = {name: with_values(text, account) for name, text in found.items()}
        self._parts = [name for name in self._sections if name not in _TARGETS]
        self._gives: dict[str, list[str]] = {}
        """The columns that each target's section gives; empty until all is planned."""
        self.connection = mapping_connection(account)

    def __enter__(self) -> Mapper:
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def map(self, landed: pa.Table) -> Mapped:
        """Canonical records of raw records. `landed` has the columns of the lake's raw table.

        A record that the mapping cannot take at all (a key twice in one JSON object, say) is
        looked for by halves and held in quarantine; the others are mapped. Raises MappingError.
        """
        if not self._gives:
            self._plan()
        try:
            self._take(landed)
            mapped = self._finished()
        except Unmappable as fault:
            if landed.num_rows == 1:
                return self._held(landed, str(fault))
        else:
            self._let_go()
            return mapped
        half = landed.num_rows // 2
        halves = [self.map(landed.slice(0, half)), self.map(landed.slice(half))]
        return Mapped({t: pa.concat_tables([h.tables[t] for h in halves]) for t in LAKE_TABLES})

    def _plan(self) -> None:
        """Make the tables of a chunk, and the statements that fill and read them.

        Planning takes longer than a thousand orders, so it is done once.
        """
        nothing = no_rows(LAKE["raw"])
        shown(self.connection, nothing).project(_AS_INCOMING).create("incoming")
        self._run(_VERSIONS)
        self._run(_LANDED)
        self._run(_ALL_READABLE)
        for name in self._parts:
            with self._telling_of(name):
                self._run(f'CREATE TABLE "{name}" AS {self._sections[name]} WITH NO DATA')
                self._run(f'PREPARE fill_{name} AS INSERT INTO "{name}" {self._sections[name]}')
        gives = {}
        for table in _TARGETS:
            if table in self._sections:
                with self._telling_of(table):
                    given = self.connection.sql(self._sections[table]).columns
                    self._run(f"PREPARE make_{table} AS {self._select(table, given)}")
                gives[table] = given
        self._gives = gives

    def _select(self, table: str, given: list[str]) -> str:
        """The mapped columns in the canonical order and types, ours and the defaults added.

        And what tells of faults.
        """
        unknown = set(given) - set(LAKE[table].names) - {"faults"}
        if unknown:
            raise MappingError(
                f"section {table} gives unknown columns {', '.join(sorted(unknown))}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="use the column names of schemas/canonical.py",
            )
        empty = shown(self.connection, no_rows(LAKE[table]))
        columns = [
            f'CAST({expression(table, name, set(given))} AS {kind}) AS "{name}"'
            for name, kind in zip(empty.columns, empty.types, strict=True)
        ] + [more for name, more in mapping_faults.FOR_FAULTS.items() if name in given]
        return (
            f"SELECT {', '.join(columns)} FROM ({self._sections[table]}\n) AS m "
            "LEFT JOIN versions AS v ON v.version_id = m.version_id"
        )

    def _take(self, landed: pa.Table) -> None:
        """Put the records into `incoming`; those with an id and JSON are in `landed`.

        What a mapping that was ended left behind goes first.
        """
        self._let_go()
        records = with_exact_numbers(in_landing_order(landed))
        shown(self.connection, records).project(_AS_INCOMING).insert_into("incoming")

    def _finished(self) -> Mapped:
        """What the sections make of the records taken, and the quarantine."""
        for name in self._parts:
            with self._telling(name):
                self._run(f"EXECUTE fill_{name}")
        made = {table: self._made(table) for table in _TARGETS}
        made["orders"] = self._with_row_counts(made)
        quarantine = no_rows(LAKE["quarantine"])
        ((all_readable,),) = self.connection.execute("EXECUTE all_readable").fetchall()
        if not all_readable or mapping_faults.may_have_faults(made):
            found = mapping_faults.quarantine(self.connection, made, [mapping_faults.NAMELESS])
            quarantine = _as_in_lake("quarantine", found)
            held = quarantine.filter(quarantine["is_held"])["version_id"]
            made = {table: _without(each, held) for table, each in made.items()}
        finished = {table: in_landing_order(_as_in_lake(table, made[table])) for table in _TARGETS}
        return Mapped(finished | {"quarantine": quarantine})

    def _held(self, landed: pa.Table, reason: str) -> Mapped:
        """The one record in quarantine, and nothing else."""
        self._take(landed)
        fault = mapping_faults.unmappable(reason)
        found = mapping_faults.quarantine(self.connection, {}, [fault])
        self._let_go()
        nothing = {table: no_rows(LAKE[table]) for table in _TARGETS}
        return Mapped(nothing | {"quarantine": _as_in_lake("quarantine", found)})

    def _let_go(self) -> None:
        """Leave nothing of a chunk: what is deleted is freed by a checkpoint."""
        for name in ("incoming", *self._parts):
            self._run(f'TRUNCATE "{name}"')
        self._run("CHECKPOINT")

    def _made(self, table: str) -> pa.Table:
        if table not in self._gives:
            return no_rows(LAKE[table])
        with self._telling(table):
            return self.connection.execute(f"EXECUTE make_{table}").to_arrow_table()

    def _with_row_counts(self, made: Mapping[str, pa.Table]) -> pa.Table:
        """The orders, each with the number of its rows, unless the mapping tells it."""
        orders = made["orders"]
        if "row_count" in self._gives["orders"]:
            return orders
        counted = made["order_rows"]["version_id"].value_counts()
        place = pc.index_in(orders["version_id"], value_set=counted.field("values"))
        counts = pc.fill_null(pc.take(counted.field("counts"), place), numbers([0])[0])
        column = orders.schema.get_field_index("row_count")
        return orders.set_column(
            column, "row_count", counts.cast(LAKE["orders"].field("row_count").type)
        )

    def _run(self, sql: str) -> None:
        self.connection.execute(sql)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Tell what is wrong with a record from what is wrong with a section."""
        with self._telling_of(name):
            try:
                yield
            except _of_the_data() as fault:
                raise Unmappable(_without_values(fault)) from None

    @contextmanager
    def _telling_of(self, name: str) -> Iterator[None]:
        """Tell of a section that does not run."""
        try:
            yield
        except duckdb.Error as fault:
            raise MappingError(
                f"section {name} does not run: {str(fault).splitlines()[0]}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="mend the section, then run `orderloom replay` for the account",
            ) from fault


def _without(records: pa.Table, held: pa.ChunkedArray) -> pa.Table:
    """The records of versions that are not held."""
    return records.filter(pc.invert(pc.is_in(records["version_id"], held.combine_chunks())))


def _as_in_lake(table: str, found: pa.Table) -> pa.Table:
    """Records in a lake table's schema. Raises Unmappable where a required column is empty."""
    found = found.select(LAKE[table].names)
    for field in LAKE[table]:
        if not field.nullable and found[field.name].null_count:
            raise Unmappable(f"{table}.{field.name} is empty")
    return found.cast(LAKE[table])


def _without_values(fault: duckdb.Error) -> str:
    """An error's first line up to the value that it quotes, which may be personal."""
    return re.split("[\"'(]", str(fault).splitlines()[0], maxsplit=1)[0].strip(" :")


def _of_the_data() -> tuple[type[duckdb.Error], ...]:
    """What DuckDB raises for a value, not for the SQL."""
    return duckdb.DataError, duckdb.InvalidInputException, duckdb.OutOfRangeException


_VERSIONS = "CREATE VIEW versions AS SELECT * EXCLUDE (body, is_readable) FROM incoming"
_LANDED = (
    "CREATE VIEW landed AS SELECT order_key, source_order_id, version_id, landing_seq, kind, "
    "body, content_hash, fetched_at FROM incoming WHERE is_readable"
)
_ALL_READABLE = "PREPARE all_readable AS SELECT COALESCE(bool_and(is_readable), TRUE) FROM incoming"
