"""One chunk of raw records through one source's SQL mapping.

Belongs here: what is the same for every source when raw JSON becomes canonical records: the macros,
the variables, the sections of NAME.sql, the columns that are ours, the quarantine. Does not belong
here: what a field means (NAME.sql), where records come from and go to (`assets/normalise.py`).

The result is a pure function of the records, the mapping and the account's status map.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from resources.accounts import Account
from resources.errors import OrderloomError
from resources.lazily import lazily
from schemas.lake import LAKE, SCHEMA_VERSION
from schemas.status import DIMENSIONS, status_codes

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
else:
    duckdb = lazily("duckdb")
    pa = lazily("pyarrow")

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+\.?\d*(?:[eE][+-]?\d+)?')
_LONG_NUMBER = "[0-9][0-9.]{16}"
"""More digits than every double holds; only a body with such a run is looked through."""
_MOST_DECIMALS = 8
_SECTION = re.compile(r"^-- section: (\w+)$", re.MULTILINE)
_TARGETS = ("orders", "order_rows", "order_parties")
LAKE_TABLES = (*_TARGETS, "quarantine")
_CHUNK_TABLES = ("landed", "parsed", "versions", "quarantined")

_DEFAULTS: dict[str, dict[str, str]] = {
    "orders": {
        "order_type_basis": "'default'",
        "is_deleted": "v.kind = 'absent'",
        "deleted_detected_at": "CASE WHEN v.kind = 'absent' THEN v.fetched_at END",
        "deletion_basis": "CASE WHEN v.kind = 'absent' THEN v.endpoint END",
        "row_count": "COALESCE(c.row_count, 0)",
        "amounts_basis": "'none'",
        "totals_check": "'not_checkable'",
        "rows_state": "'not_supplied'",
        "content_hash": "v.content_hash",
    }
    | dict.fromkeys(DIMENSIONS, "'not_applicable'")
    | {f"{name}_basis": "'default'" for name in DIMENSIONS},
    "order_rows": {
        "row_no": "0",
        "row_kind": "'product'",
        "is_deleted": "v.kind = 'absent'",
        "amount_basis": "'none'",
    },
    "order_parties": {},
}
"""What a column holds where a source's mapping does not give it."""

_ADDED: dict[str, dict[str, str]] = {
    "orders": {
        "events": "CASE v.kind WHEN 'absent' THEN [event_at('deleted', NULL, NULL, NULL)] "
        "WHEN 'present' THEN [event_at('restored', NULL, NULL, NULL)] END",
        "quality_flags": "CASE WHEN v.kind = 'suspected' THEN ['deletion_suspected'] END",
    },
}
"""What is appended to a list whatever a source's mapping says: what sweeps have found out."""

_OURS = {
    "source_system": "getvariable('source_system')",
    "source_account": "getvariable('source_account')",
    "source_order_id": "v.source_order_id",
    "landing_seq": "v.landing_seq",
    "first_seen_at": "v.first_seen_at",
    "last_seen_at": "v.fetched_at",
    "run_id": "v.run_id",
    "schema_version": str(SCHEMA_VERSION),
}
"""Columns that no mapping gives: they say where the version comes from."""


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
    """The named SELECTs of `assets/sources/NAME.sql`, in their order."""
    text = files("assets.sources").joinpath(f"{source}.sql").read_text(encoding="utf-8")
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
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET threads TO 2")
        macros = files("assets.sources").joinpath("macros.sql").read_text(encoding="utf-8")
        self.connection.execute(macros)
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
            self._take(landed)
            for name, select in self._sections.items():
                self._create(f"mapped_{name}" if name in _TARGETS else name, select)
            return self._finished(_NAMELESS)
        except Unmappable as fault:
            if landed.num_rows == 1:
                return self._held(landed, str(fault))
            half = landed.num_rows // 2
            halves = [self.map(landed.slice(0, half)), self.map(landed.slice(half))]
        return Mapped({t: pa.concat_tables([h.tables[t] for h in halves]) for t in LAKE_TABLES})

    def _held(self, landed: pa.Table, reason: str) -> Mapped:
        """The one record in quarantine, and nothing else."""
        self._take(landed)
        return self._finished(f"SELECT version_id, {_unmappable(reason)} AS f FROM versions")

    def _finished(self, unread: str) -> Mapped:
        """What the sections made, and the quarantine; `unread` selects what none of them read."""
        self._quarantine(unread)
        tables = {table: self._finish(table) for table in _TARGETS}
        tables["quarantine"] = self._arrow("quarantine", "SELECT * FROM quarantined")
        return Mapped(tables)

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

    def _take(self, landed: pa.Table) -> None:
        for name in (*_CHUNK_TABLES, *self._sections, *(f"mapped_{t}" for t in _TARGETS)):
            self.connection.execute(f'DROP TABLE IF EXISTS "{name}"')
        self.connection.register("incoming", landed)
        self.connection.execute(
            "CREATE TEMP TABLE versions AS SELECT *, order_key || '@' || landing_seq AS version_id "
            "FROM incoming ORDER BY landing_seq"
        )
        self.connection.unregister("incoming")
        self.connection.execute(
            "CREATE TEMP TABLE landed AS SELECT order_key, source_order_id, version_id, "
            "landing_seq, kind, body, content_hash, fetched_at FROM versions "
            "WHERE source_order_id IS NOT NULL AND json_valid(body)"
        )
        long = self.connection.execute(
            "SELECT version_id, body FROM landed WHERE regexp_matches(body, ?)", [_LONG_NUMBER]
        ).fetchall()
        for version_id, body in long:
            self.connection.execute(
                "UPDATE landed SET body = ? WHERE version_id = ?", [exact_numbers(body), version_id]
            )

    def _create(self, name: str, select: str) -> None:
        try:
            self.connection.execute(f'CREATE TEMP TABLE "{name}" AS {select}')
        except _of_the_data() as fault:
            raise Unmappable(_without_values(fault)) from None
        except duckdb.Error as fault:
            raise MappingError(
                f"section {name} does not run: {str(fault).splitlines()[0]}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="mend the section, then run `orderloom replay` for the account",
            ) from fault

    def _columns(self, table: str) -> set[str]:
        found = self.connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table]
        ).fetchall()
        return {name for (name,) in found}

    def _quarantine(self, unread: str) -> None:
        """Collect every fault; a version with a held one is kept out of the canonical tables."""
        faults = " UNION ALL ".join(
            f"SELECT version_id, unnest(faults) AS f FROM mapped_{table}"
            for table in _TARGETS
            if "faults" in self._columns(f"mapped_{table}")
        )
        given = self._columns("mapped_order_rows")
        if given:
            unread += f" UNION ALL {_ROW_TWICE}"
        if "options" in given:
            unread += f" UNION ALL {_OPTION_TWICE}"
        self.connection.execute(
            "CREATE TEMP TABLE quarantined AS "
            "SELECT getvariable('source_system') AS source_system, "
            "getvariable('source_account') AS source_account, v.order_key, v.source_order_id, "
            "v.version_id, v.landing_seq, q.f.field AS field, q.f.reason AS reason, "
            "q.f.value AS value, q.f.is_held AS is_held, v.fetched_at, v.run_id, "
            f"CAST({SCHEMA_VERSION} AS SMALLINT) AS schema_version "
            f"FROM ({faults or _NO_FAULTS} UNION ALL {unread}) AS q "
            "JOIN versions AS v ON v.version_id = q.version_id ORDER BY v.landing_seq, field"
        )

    def _finish(self, table: str) -> pa.Table:
        """The mapped columns in the canonical order and types, ours and the defaults added."""
        mapped = f"mapped_{table}"
        given = self._columns(mapped)
        if not given:
            return LAKE[table].empty_table()
        unknown = given - set(LAKE[table].names) - {"faults"}
        if unknown:
            raise MappingError(
                f"section {table} gives unknown columns {', '.join(sorted(unknown))}",
                where=f"assets/sources/{self._account.source}.sql",
                remedy="use the column names of schemas/canonical.py",
            )
        columns = ", ".join(
            f'CAST({_expression(table, name, given)} AS {kind}) AS "{name}"'
            for name, kind in self._types(table).items()
        )
        counts = ""
        if table == "orders":
            rows = self._row_counts()
            counts = f"LEFT JOIN ({rows}) AS c ON c.version_id = m.version_id"
        return self._arrow(
            table,
            f"SELECT {columns} FROM {mapped} AS m "
            f"JOIN versions AS v ON v.version_id = m.version_id {counts} "
            "WHERE m.version_id NOT IN (SELECT version_id FROM quarantined WHERE is_held) "
            "ORDER BY v.landing_seq",
        )

    def _types(self, table: str) -> dict[str, str]:
        """DuckDB's types of a lake table's columns, in their order."""
        empty = self.connection.from_arrow(LAKE[table].empty_table())
        return dict(zip(empty.columns, map(str, empty.types), strict=True))

    def _row_counts(self) -> str:
        if not self._columns("mapped_order_rows"):
            return "SELECT CAST(NULL AS VARCHAR) AS version_id, 0 AS row_count"
        return "SELECT version_id, COUNT(*) AS row_count FROM mapped_order_rows GROUP BY version_id"

    def _arrow(self, table: str, select: str) -> pa.Table:
        try:
            found = self.connection.execute(select).to_arrow_table()
        except _of_the_data() as fault:
            raise Unmappable(_without_values(fault)) from None
        for field in LAKE[table]:
            if not field.nullable and found[field.name].null_count:
                raise Unmappable(f"{table}.{field.name} is empty")
        return found.cast(LAKE[table])


def exact_numbers(body: str) -> str:
    """JSON text with the amounts that a double would change put in quotes, to be read as texts.

    DuckDB reads a JSON number that is no integer as a double. Numbers of more decimals than any
    amount or rate has are left: they are what a double's own rounding looks like.
    """

    def exact(token: re.Match[str]) -> str:
        text = token[0]
        if len(text) <= 15 or text.startswith('"') or text.lstrip("-").isdecimal():
            return text
        number = Decimal(text)
        decimals = -int(number.normalize().as_tuple().exponent)
        is_kept = number == Decimal(repr(float(text))) or decimals > _MOST_DECIMALS
        return text if is_kept else f'"{text}"'

    return _JSON_TOKEN.sub(exact, body)


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
_OPTION_TWICE = (  # readers of a MAP refuse it
    "SELECT version_id, fault('options', 'a name occurs twice', NULL, TRUE) AS f "
    "FROM mapped_order_rows "
    "WHERE len(map_keys(options)) <> len(list_distinct(map_keys(options)))"
)
_NAMELESS = (
    "SELECT version_id, CASE WHEN source_order_id IS NULL "
    "THEN fault('id', 'required, but absent', NULL, TRUE) "
    "ELSE fault('body', 'not JSON', NULL, TRUE) END AS f "
    "FROM versions WHERE source_order_id IS NULL OR NOT json_valid(body)"
)


def _expression(table: str, name: str, given: set[str]) -> str:
    """Where a canonical column comes from: us, the mapping, a default, or nowhere."""
    if name in _OURS:
        return _OURS[name]
    default = _DEFAULTS[table].get(name)
    if added := _ADDED.get(table, {}).get(name):
        own = f'm."{name}"'
        both = f"CASE WHEN {added} IS NULL THEN {own} ELSE list_concat({own}, {added}) END"
        return both if name in given else added
    if name in given:
        return f'COALESCE(m."{name}", {default})' if default else f'm."{name}"'
    return default or "NULL"


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
