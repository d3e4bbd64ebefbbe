"""One chunk of raw records through one source's SQL mapping.

Belongs here: what is the same for every source when raw JSON becomes canonical records: the macros,
the variables, the sections of NAME.sql, the columns that are ours, the quarantine. Does not belong
here: what a field means (NAME.sql), where records come from and go to (`assets/normalise.py`).

The result is a pure function of the records, the mapping and the account's status map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from assets.exact_numbers import with_exact_numbers
from assets.mapped_columns import expression
from assets.mapping_connection import mapping_connection
from resources.accounts import Account
from resources.errors import OrderloomError
from resources.lazily import lazily
from schemas.lake import LAKE, SCHEMA_VERSION
from schemas.status import DIMENSIONS, status_codes

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    duckdb = lazily("duckdb")
    pa = lazily("pyarrow")
    pc = lazily("pyarrow.compute")

_TYPES: dict[str, dict[str, str]] = {}
"""DuckDB's types of the lake tables' columns: the same for every mapper."""
_GIVEN: dict[tuple[tuple[str, str], ...], dict[str, set[str]]] = {}
"""The columns that a mapping's targets give: the same for every mapper of it, dear to ask for."""
_SECTION = re.compile(r"^-- section: (\w+)$", re.MULTILINE)
_TARGETS = ("orders", "order_rows", "order_parties")
_MADE_IN_ORDER = ("order_rows", "order_parties", "orders")
"""An order has the number of its rows."""
LAKE_TABLES = (*_TARGETS, "quarantine")


class MappingError(OrderloomError):
    """A source's SQL mapping does not run or gives a column that the canonical schema lacks."""


class Unmappable(Exception):
    """A record's content stops the mapping; says how, without the content."""


@dataclass(frozen=True)
class Mapped:
    """The canonical records of one chunk, by lake table."""

    tables: Mapping[str, pa.Table]

    def count(self, table: str) -> int:
        """Number of records for one table."""
        return int(self.tables[table].num_rows)


@cache
def sections(source: str) -> dict[str, str]:
    """The named SELECTs of `assets/sources/NAME.sql`, in their order.

    A long mapping has its second half, rows and parties, in NAME_rows.sql.
    """
    halves = [files("assets.sources").joinpath(f"{source}{half}.sql") for half in ("", "_rows")]
    text = "\n".join(each.read_text(encoding="utf-8") for each in halves if each.is_file())
    return split_sections(text, source)


def split_sections(text: str, source: str) -> dict[str, str]:
    """The named SELECTs of a mapping. Raises MappingError where `parsed` or `orders` is missing."""
    parts = _SECTION.split(text)
    found = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    missing = {"parsed", "orders"} - found.keys()
    if missing:
        raise MappingError(
            f"the mapping has no section {', '.join(sorted(missing))}",
            where=f"assets/sources/{source}.sql",
            remedy="start each SELECT with a line `-- section: NAME`",
        )
    return found


class Mapper:
    """Runs one account's mapping in a DuckDB connection of its own, in memory."""

    def __init__(self, account: Account, mapping: Mapping[str, str] | None = None) -> None:
        self._account = account
        self._sections = mapping if mapping is not None else sections(account.source)
        self._parts = [name for name in self._sections if name not in _TARGETS]
        self._given = _GIVEN.setdefault(tuple(self._sections.items()), {})
        self.connection = mapping_connection()
        self._set_variables()

    def __enter__(self) -> Mapper:
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def map(self, landed: pa.Table) -> Mapped:
        """Canonical records of raw records. `landed` has the columns of the lake's raw table.

        A record that the mapping cannot take at all (a key twice in one JSON object, say) is
        looked for by halves and held in quarantine; the others are mapped.
        """
        try:
            is_whole = self._take(landed)
            for name in self._parts:
                self._create(name)
            return self._finished(None if is_whole else _NAMELESS)
        except Unmappable as fault:
            if landed.num_rows == 1:
                return self._held(landed, str(fault))
            half = landed.num_rows // 2
            halves = [self.map(landed.slice(0, half)), self.map(landed.slice(half))]
        return Mapped({t: pa.concat_tables([h.tables[t] for h in halves]) for t in LAKE_TABLES})

    def _held(self, landed: pa.Table, reason: str) -> Mapped:
        """The one record in quarantine, and nothing else."""
        self._take(landed)
        self._quarantine([f"SELECT version_id, {_unmappable(reason)} AS f FROM versions"])
        nothing = {table: LAKE[table].empty_table() for table in _TARGETS}
        return Mapped(nothing | {"quarantine": self._quarantined()})

    def _finished(self, unread: str | None) -> Mapped:
        """What the targets' sections make, and the quarantine.

        `unread` selects the faults of what no section reads.
        """
        made = {table: self._made(table) for table in _MADE_IN_ORDER}
        faults = self._fault_queries()
        quarantine = LAKE["quarantine"].empty_table()
        if unread is not None or any(map(self._finds_any, faults)):
            self._quarantine([*faults, unread or _NO_FAULTS])
            quarantine = self._quarantined()
            held = quarantine.filter(pc.field("is_held"))["version_id"]
            made = {table: _without(each, held) for table, each in made.items()}
        self._let_go()
        finished = {table: _in_order(_as_in_lake(table, made[table])) for table in _TARGETS}
        return Mapped(finished | {"quarantine": quarantine})

    def _let_go(self) -> None:
        """Leave no record of a chunk to be held while the next one is read."""
        for view in (*(f"mapped_{table}" for table in _TARGETS), "incoming", "readable"):
            self.connection.unregister(view)
        for name in self._parts:
            self._run(f'DROP TABLE "{name}"')

    def _set_variables(self) -> None:
        settings = self._account.settings
        for name, value in (
            ("source_system", self._account.source),
            ("source_account", self._account.name),
            ("zone", settings.timezone),
            ("currency", settings.currency),
        ):
            self.connection.execute(f"SET VARIABLE {name} = CAST(? AS VARCHAR)", [value])
        codes = code_map(self._account)
        self.connection.execute(
            "SET VARIABLE codes = CAST(? AS MAP(VARCHAR, "
            "STRUCT(code VARCHAR, basis VARCHAR, label VARCHAR)))",
            [codes],
        )

    def _take(self, landed: pa.Table) -> bool:
        """Make the records known as `versions`, and those with an id and JSON as `landed`.

        Returns whether these are all of them.
        """
        landed = _in_order(landed)
        self.connection.register("incoming", landed)
        readable = self._read(
            "SELECT source_order_id IS NOT NULL AND COALESCE(json_valid(body), FALSE) FROM incoming"
        )
        self._run(f"CREATE OR REPLACE TEMP TABLE versions AS {_VERSIONS}")
        is_whole = bool(pc.all(readable, min_count=0).as_py())
        if not is_whole:
            landed = landed.filter(readable)
        self.connection.register("readable", with_exact_numbers(landed))
        self._run(f"CREATE OR REPLACE TEMP VIEW landed AS {_LANDED}")
        return is_whole

    def _run(self, sql: str) -> None:
        self.connection.execute(sql)

    def _read(self, sql: str) -> pa.ChunkedArray:
        """The one column of an answer."""
        return self.connection.execute(sql).to_arrow_table().column(0)

    def _finds_any(self, sql: str) -> bool:
        return bool(self.connection.execute(f"SELECT 1 FROM ({sql}) LIMIT 1").fetchall())

    def _create(self, name: str) -> None:
        with self._telling(name):
            self._run(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {self._sections[name]}')

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Tell what is wrong with a record from what is wrong with a section."""
        try:
            yield
        except _of_the_data() as fault:
            raise Unmappable(_without_values(fault)) from None
        except duckdb.Error as fault:
            raise MappingError(
                f"section {name} does not run: {str(fault).splitlines()[0]}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="mend the section, then run `orderloom replay` for the account",
            ) from fault

    def _gives(self, table: str) -> set[str]:
        """The columns that a target's section gives; none where there is no such section."""
        if table not in self._given:
            given: set[str] = set()
            if table in self._sections:
                with self._telling(table):
                    given = set(self.connection.sql(self._sections[table]).columns)
            self._given[table] = given
        return self._given[table]

    def _fault_queries(self) -> list[str]:
        """What selects the faults: those that sections tell, and what no source may send twice."""
        found = [
            f"SELECT version_id, unnest(faults) AS f FROM mapped_{table} WHERE len(faults) > 0"
            for table in _TARGETS
            if "faults" in self._gives(table)
        ]
        if self._gives("order_rows"):
            found.append(_ROW_TWICE)
        if "options" in self._gives("order_rows"):
            found.append(_OPTION_TWICE)
        return found

    def _quarantine(self, faults: Sequence[str]) -> None:
        """Collect every fault; a version with a held one is kept out of the canonical tables."""
        self._run(
            "CREATE OR REPLACE TEMP TABLE quarantined AS "
            "SELECT getvariable('source_system') AS source_system, "
            "getvariable('source_account') AS source_account, v.order_key, v.source_order_id, "
            "v.version_id, v.landing_seq, q.f.field AS field, q.f.reason AS reason, "
            "q.f.value AS value, q.f.is_held AS is_held, v.fetched_at, v.run_id, "
            f"CAST({SCHEMA_VERSION} AS SMALLINT) AS schema_version "
            f"FROM ({' UNION ALL '.join(faults)}) AS q "
            "JOIN versions AS v ON v.version_id = q.version_id "
            "ORDER BY v.landing_seq, field, reason, value"
        )

    def _quarantined(self) -> pa.Table:
        found = self.connection.execute("SELECT * FROM quarantined").to_arrow_table()
        return _as_in_lake("quarantine", found)

    def _made(self, table: str) -> pa.Table:
        """The mapped columns in the canonical order and types, ours and the defaults added.

        And the faults. Queries know it as mapped_NAME.
        """
        given = self._gives(table)
        if not given:
            return LAKE[table].empty_table()
        unknown = given - set(LAKE[table].names) - {"faults"}
        if unknown:
            raise MappingError(
                f"section {table} gives unknown columns {', '.join(sorted(unknown))}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="use the column names of schemas/canonical.py",
            )
        columns = [
            f'CAST({expression(table, name, given)} AS {kind}) AS "{name}"'
            for name, kind in self._types(table).items()
        ] + [more for name, more in _FOR_FAULTS.items() if name in given]
        counts = ""
        if table == "orders":
            counts = f"LEFT JOIN ({self._row_counts()}) AS c ON c.version_id = m.version_id"
        with self._telling(table):
            made = self.connection.execute(
                f"SELECT {', '.join(columns)} FROM ({self._sections[table]}\n) AS m "
                f"LEFT JOIN versions AS v ON v.version_id = m.version_id {counts}"
            ).to_arrow_table()
        self.connection.register(f"mapped_{table}", made)
        return made

    def _types(self, table: str) -> dict[str, str]:
        """DuckDB's types of a lake table's columns, in their order."""
        if table not in _TYPES:
            empty = self.connection.from_arrow(LAKE[table].empty_table())
            _TYPES[table] = dict(zip(empty.columns, map(str, empty.types), strict=True))
        return _TYPES[table]

    def _row_counts(self) -> str:
        if not self._gives("order_rows"):
            return "SELECT CAST(NULL AS VARCHAR) AS version_id, 0 AS row_count"
        return "SELECT version_id, COUNT(*) AS row_count FROM mapped_order_rows GROUP BY version_id"


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


def _in_order(records: pa.Table) -> pa.Table:
    """Records by landing sequence; those of one version stay in the order that they have."""
    landed = records["landing_seq"].combine_chunks()
    if pc.all(pc.less_equal(landed[:-1], landed[1:]), min_count=0).as_py():
        return records
    return records.sort_by("landing_seq")


def _without_values(fault: duckdb.Error) -> str:
    """An error's first line up to the value that it quotes, which may be personal."""
    return re.split("[\"'(]", str(fault).splitlines()[0], maxsplit=1)[0].strip(" :")


def _unmappable(reason: str) -> str:
    literal = reason.replace("'", "''")
    return f"fault('body', 'cannot be mapped: {literal}', NULL, TRUE)"


_NO_FAULTS = (
    "SELECT CAST(NULL AS VARCHAR) AS version_id, CAST(NULL AS STRUCT(field VARCHAR, "
    "reason VARCHAR, value VARCHAR, is_held BOOLEAN)) AS f WHERE FALSE"
)
_ROW_TWICE = (
    "SELECT DISTINCT version_id, fault('order rows', 'a row id occurs twice', NULL, TRUE) AS f "
    "FROM mapped_order_rows GROUP BY version_id, order_row_key HAVING COUNT(*) > 1"
)
_FOR_FAULTS = {
    "faults": "m.faults",
    "options": "cardinality(m.options) > 1 "  # readers of a MAP with a name twice refuse it
    "AND len(map_keys(m.options)) <> len(list_distinct(map_keys(m.options))) AS has_option_twice",
}
"""Columns beside the canonical ones, by the column that they are made of."""
_OPTION_TWICE = (
    "SELECT version_id, fault('options', 'a name occurs twice', NULL, TRUE) AS f "
    "FROM mapped_order_rows WHERE has_option_twice"
)
_VERSIONS = "SELECT * EXCLUDE (body), order_key || '@' || landing_seq AS version_id FROM incoming"
_LANDED = (
    "SELECT order_key, source_order_id, order_key || '@' || landing_seq AS version_id, "
    "landing_seq, kind, body, content_hash, fetched_at FROM readable"
)
_NAMELESS = (
    "SELECT version_id, CASE WHEN source_order_id IS NULL "
    "THEN fault('id', 'required, but absent', NULL, TRUE) "
    "ELSE fault('body', 'not JSON', NULL, TRUE) END AS f "
    "FROM versions WHERE landing_seq NOT IN (SELECT landing_seq FROM landed)"
)


def code_map(account: Account) -> dict[str, dict[str, str | None]]:
    """`dimension/source code` -> canonical code, basis and label: the account's map comes first."""
    codes: dict[str, dict[str, str | None]] = {
        f"{each.dimension}/{each.source_code}": {
            "code": each.canonical_code,
            "basis": each.basis,
            "label": each.label or None,
        }
        for each in status_codes()
        if each.source == account.source
    }
    for dimension in DIMENSIONS:
        own: Mapping[str, str] = getattr(account.settings, dimension, {}) or {}
        for code, canonical in own.items():
            codes[f"{dimension}/{code}"] = {
                "code": canonical,
                "basis": "account_map",
                "label": None,
            }
    return codes


def _of_the_data() -> tuple[type[duckdb.Error], ...]:
    """What DuckDB raises for a value, not for the SQL."""
    return duckdb.DataError, duckdb.InvalidInputException, duckdb.OutOfRangeException
