"""Builds and publishes marts.duckdb, and opens it for reading.

Belongs here: what is pending, whether the last file can be brought up to date, when to hold an
account back. Does not belong here: filling tables (`resources/warehouse_build.py`), what is known
of accounts (`resources/warehouse_accounts.py`), files and the symlink
(`resources/publication.py`), mart SQL (`assets/marts`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from resources import publication, warehouse_note
from resources.errors import WarehouseError
from resources.lake import AccountKey, Lake
from resources.lazily import lazily
from resources.places import Places
from resources.warehouse_accounts import (
    AccountReference,
    Reference,
    is_outdated,
    rows_of,
)
from resources.warehouse_checks import Fault, Mart
from resources.warehouse_note import Note
from resources.warehouse_plan import Plan, Published, make_plan, pending, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pandas as pd
    import pyarrow as pa
else:
    duckdb = lazily("duckdb")

STORAGE_VERSION = "v1.0.0"
"""Format of the published file, named so that no later default shuts out older readers. Every
release of DuckDB since 1.0 reads it; `python -m benchmarks.duckdb_versions` tries those of ours."""

Parameters = Sequence[Any] | Mapping[str, Any] | None
"""Values for ? or for $name in a query."""

__all__ = [
    "AccountReference",
    "Mart",
    "Publication",
    "Reference",
    "Warehouse",
    "open_marts",
    "read",
]


@dataclass(frozen=True)
class Publication:
    """What a call of `publish` came to."""

    published: bool
    """False: nothing was new, the live file stays."""
    path: Path
    """The live file."""
    orders: int
    """Orders in the live file."""
    rows: int
    """Order rows in the live file."""
    touched: Mapping[AccountKey, int]
    """Orders of which a version was new, per account."""
    held_back: frozenset[AccountKey]
    """Accounts whose new versions were not published."""
    faults: Mapping[AccountKey, Fault]
    """What was wrong with those that this publication itself held back."""
    is_rebuilt: bool
    """True: built from scratch, not from the last file."""
    seconds: float


@dataclass(frozen=True)
class _Content:
    """What goes into a file beside the orders, and the hashes by which a change of it is seen."""

    marts: Sequence[Mart]
    reference: Reference
    layout: str
    fingerprint: str
    pending: frozenset[AccountKey]
    """Accounts that can be held back."""
    before: Path | None
    """The file published before, which what is new may not be unlike."""
    accepted: frozenset[AccountKey]
    """Accounts that may be unlike it."""


@dataclass(frozen=True)
class _Built:
    """What building a file came to."""

    touched: Mapping[AccountKey, int]
    orders: int
    order_rows: int
    faults: Mapping[AccountKey, Fault]


class Warehouse:
    """The published DuckDB file of one home, and how the next one is made."""

    def __init__(self, places: Places, lake: Lake | None = None) -> None:
        """Opens nothing. `lake` defaults to the one of `places`; reading does not need it."""
        self._places = places
        self._lake = lake

    @property
    def path(self) -> Path:
        """The name under which readers find the newest file: a symlink."""
        return self._places.marts

    def publish(
        self,
        marts: Sequence[Mart],
        reference: Reference,
        *,
        rebuild: bool = False,
        keep_nothing: bool = False,
        held_back: frozenset[AccountKey] = frozenset(),
        accept_unlike_before: frozenset[AccountKey] = frozenset(),
    ) -> Publication:
        """Publish what was landed since the last publication; all of it anew if `rebuild`.

        A new file is built beside the live one, checked, flushed and put in its place. Nothing
        happens where nothing is new in the lake, the marts and the accounts' settings: runs alone
        make no new file, unless what it says of an account's freshness is out of date. The new
        versions of accounts in `held_back`, and of accounts whose rows fail the checks, wait for a
        later publication. `keep_nothing`: all is built anew, and older versions of what is held
        back are read from the lake, too, never copied from the last file. `accept_unlike_before`:
        accounts of which somebody has looked at what is missing or changed beyond belief. Another
        process that publishes is waited for.

        Raises WarehouseError: a mart that fails, a fault in what was published before, no room;
        LakeError: a lake that cannot be read. The live file stays in every case.
        """
        started = time.monotonic()
        self._places.prepare()
        lake = self._lake or Lake(self._places.lake)
        with publication.exclusive(self.path), self._plainly():
            note = self._noted()
            found = note.said if note else self._published()
            shape = note.layout if note and note.code == warehouse_note.CODE else _layout()
            marks = shape, _fingerprint(marts, reference)
            has_this_layout = found is not None and found.layout == marks[0]
            if keep_nothing or (found is not None and (not has_this_layout or found.is_bloated)):
                rebuild = True
            can_go_back = has_this_layout and not keep_nothing
            plan = make_plan(lake, found, rebuild=rebuild, held_back=held_back)
            if plan.base and not plan.steps and _is_current(plan.base, marks[1], reference):
                self._note(lake, note, shape, plan.base)
                return _report(started, plan, plan.base.path, None)
            before = found.path if found else None
            while True:
                building = publication.unfinished(self.path, publication.new_id(self.path))
                new = pending(plan, found)
                content = _Content(marts, reference, *marks, new, before, accept_unlike_before)
                built = self._build(building, lake, plan, content)
                if not built.faults:
                    break
                plan = without(plan, found, built.faults, can_go_back=can_go_back)
            live = publication.publish(self.path, building)
            self._note(lake, None, shape, self._published())
            return _report(started, plan, live, built)

    def forget(self) -> int:
        """Remove every published file but the live one; how many there were.

        A file that was brought up to date may hold what it held before in blocks that are free:
        only one that was built from scratch (`publish` with `rebuild`) is free of what is gone.
        """
        with publication.exclusive(self.path), self._plainly():
            return publication.remove_all_but_live(self.path)

    def open(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection to the newest file; it stays with that file until closed.

        Raises WarehouseError if nothing has been published, or if somebody is writing to the file.
        """
        file = publication.live(self.path)
        if file is None:
            raise WarehouseError("nothing is published yet", str(self.path), "run orderloom sync")
        with self._plainly():
            con = duckdb.connect(str(file), read_only=True)
            con.execute("SET TimeZone = 'UTC'")
            return con

    def drift(self) -> Sequence[tuple[str, str, int]]:
        """Account, kind of schema drift, and of how many fields and codes; from the live file."""
        note = self._noted()
        said = note.said if note else self._published()
        return said.drift if said else ()

    def read(self, sql: str, parameters: Parameters = None) -> pd.DataFrame:
        """The answer to a query as pandas, in Arrow types: amounts stay exact decimals."""
        import pandas as pd

        table = self.read_arrow(sql, parameters)
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def read_arrow(self, sql: str, parameters: Parameters = None) -> pa.Table:
        """The answer to a query as an Arrow table. Raises WarehouseError for SQL that fails."""
        with self.open() as con:
            try:
                return con.execute(sql, parameters).to_arrow_table()
            except duckdb.Error as error:
                raise WarehouseError(
                    error_line(error),
                    str(self.path),
                    "DESCRIBE orders shows the columns, SHOW TABLES the tables",
                ) from error

    def row_counts(self) -> dict[str, int]:
        """Number of rows of every published table."""
        with self.open() as con:
            names = con.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
                " ORDER BY table_name"
            ).fetchall()
            return {name: _count(con, name) for (name,) in names}

    def _noted(self) -> Note | None:
        """What is noted of the live file, if it is as it was published."""
        file = publication.live(self.path)
        if file is None or not publication.is_untouched(file):
            return None
        return warehouse_note.read(self.path, file)

    def _note(self, lake: Lake, before: Note | None, layout: str, said: Published | None) -> None:
        """Let the next process find out without DuckDB and Delta Lake that nothing is new."""
        now = Note(said, warehouse_note.CODE, layout) if said else None
        if now and now != before:
            warehouse_note.write(self.path, now)
        lake.note()

    def _published(self) -> Published | None:
        """What the live file says; None if there is none, or if it is not as it was published."""
        file = publication.live(self.path)
        if file is None or not publication.is_untouched(file):
            return None
        return warehouse_note.ask(file)

    def _build(self, building: Path, lake: Lake, plan: Plan, content: _Content) -> _Built:
        """Build one file; without marts, and not to be published, where there are faults."""
        from resources.warehouse_build import Build

        if plan.base is not None:
            publication.copy(plan.base.path, building)
        with duckdb.connect(
            str(building), config={"storage_compatibility_version": STORAGE_VERSION}
        ) as con:
            build = Build(con, lake)
            build.begin()
            if plan.base is None:
                build.create()
            accounts = rows_of(content.reference, plan.reaches)
            zones = build.take_over(accounts, content.reference.runs)
            touched = build.bring_up_to_date(plan.steps, zones)
            faults = build.faults(content.before, content.accepted, touched)
            if not faults:
                has_marts = plan.base is not None and plan.base.fingerprint == content.fingerprint
                at_marts = touched if has_marts else replace(touched, is_little=False)
                build.derive(content.marts, at_marts)
                faults = build.faults_of_marts(content.marts, content.pending, at_marts)
            built = _Built(touched.counts, _count(con, "orders"), _count(con, "order_rows"), faults)
            if not faults:
                build.note(
                    plan.reaches,
                    publication_id=building.stem,
                    published_at=datetime.now(UTC),
                    layout=content.layout,
                    fingerprint=content.fingerprint,
                    orders=built.orders,
                    order_rows=built.order_rows,
                    rebuilt_bytes=plan.base.rebuilt_size if plan.base else 0,
                )
                build.finish()
        return built

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turn the errors of DuckDB and of the file system into one line."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise WarehouseError(
                str(error).splitlines()[0][:300],
                str(self.path),
                "see that the folder has room and that nobody has the file open for writing",
            ) from error


def error_line(error: duckdb.Error) -> str:
    """What DuckDB says of a query that fails, in one line, without the query."""
    return " ".join(str(error).partition("LINE 1:")[0].split())[:500]


def open_marts(places: Places) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the newest file of a home; see `Warehouse.open`."""
    return Warehouse(places).open()


@overload
def read(
    sql: str, parameters: Parameters = ..., *, arrow: Literal[False] = ...
) -> pd.DataFrame: ...


@overload
def read(sql: str, parameters: Parameters = ..., *, arrow: Literal[True]) -> pa.Table: ...


def read(
    sql: str, parameters: Parameters = None, *, arrow: bool = False
) -> pd.DataFrame | pa.Table:
    """The answer of the marts of ORDERLOOM_HOME (default ./var), as pandas or as an Arrow table.

    pandas columns have Arrow types (`pd.ArrowDtype`), so that in both amounts are exact decimals,
    days are dates, moments timestamps in UTC, and NULL is not NaN. `parameters` fill `?` or `$name`
    in the SQL. Every call opens the newest file and closes it again.

    Raises WarehouseError where nothing is published yet, and for SQL that fails.
    """
    warehouse = Warehouse(Places.from_environment())
    return (warehouse.read_arrow if arrow else warehouse.read)(sql, parameters)


def _report(started: float, plan: Plan, path: Path, built: _Built | None) -> Publication:
    counted = built or plan.base
    assert counted is not None, "without a base something is always built"
    return Publication(
        published=built is not None,
        path=path,
        orders=counted.orders,
        rows=counted.order_rows,
        touched=built.touched if built else {},
        held_back=plan.held_back,
        faults=plan.faults,
        is_rebuilt=plan.base is None,
        seconds=time.monotonic() - started,
    )


def _is_current(base: Published, fingerprint: str, reference: Reference) -> bool:
    """Whether a file has these marts, and says of the accounts what is known of them now."""
    return base.fingerprint == fingerprint and not is_outdated(base.accounts, reference)


def _layout() -> str:
    from resources.warehouse_build import layout

    return _hash(layout())


def _fingerprint(marts: Sequence[Mart], reference: Reference) -> str:
    texts = [
        repr((mart.name, mart.sql, mart.grain, dict(mart.comments), mart.conditions))
        for mart in marts
    ]
    return _hash([*texts, *sorted(repr(each.settings) for each in reference.accounts)])


def _hash(texts: Any) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    ((count,),) = con.execute(f'SELECT COUNT(*) FROM "{table}"').fetchall()
    return int(count)
