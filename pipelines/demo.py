"""`orderloom demo`: the whole way, on real orders, in a minute.

Belongs here: the order in which the demo does things, its questions, what it says. Does not belong
here: anything that a user's own sync would not do as well.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from assets.workshop import Workshop
from pipelines import console
from pipelines.asking import ask
from pipelines.commands import chosen, sync_accounts
from pipelines.running import Ran, Runner
from pipelines.summary import Synced, print_syncs
from resources.errors import ConfigurationError
from resources.places import Places
from sandbox.server import Sandbox

MARK = "made-by-demo"
STEP = timedelta(days=1)


@dataclass(frozen=True)
class Question:
    """A question as an analyst would ask it, and its SQL."""

    title: str
    sql: str


def run(home: Path | None) -> int:
    """Run the demo and return the exit code."""
    began = time.monotonic()
    places = _fresh_home(home or Path("var"))
    with console.Watch() as watch, Sandbox(lifted=True) as box:
        _point_at(box, places)
        console.out.print(
            f"[bold]1. The sandbox[/] serves five APIs on {box.address}. Its clock stands at "
            f"{box.clock.now():%Y-%m-%d %H:%M} UTC; its request limits are lifted for the demo."
        )
        workshop = Workshop(asking=watch.asking, landed=watch.landed)
        with Runner(workshop) as runner:
            console.out.print(f"[bold]2. First sync[/] of {len(workshop.accounts)} accounts.")
            first = _sync(workshop, runner, watch)
            console.out.print(f"[bold]3. A day later:[/] {box.clock.advance(STEP):%Y-%m-%d %H:%M}.")
            second = _sync(workshop, runner, watch)
    _answer(places)
    _say_where(places, time.monotonic() - began)
    return 0 if all(ran.success for ran in first + second) else 1


def questions() -> list[Question]:
    """The questions of `pipelines/demo.sql`: a line `-- question: TITLE` starts each."""
    text = files("pipelines").joinpath("demo.sql").read_text(encoding="utf-8")
    found = []
    for part in re.split(r"^-- question: ", text, flags=re.MULTILINE)[1:]:
        title, _, sql = part.partition("\n")
        found.append(Question(title.strip(), sql.strip().rstrip(";")))
    return found


def _fresh_home(folder: Path) -> Places:
    """An empty home; what an earlier demo made is removed, nothing else ever is."""
    home = folder.absolute()
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).exists():
            raise ConfigurationError(
                "the demo starts from an empty home, and this one holds something else",
                where=str(home),
                remedy="choose another: orderloom demo --home DIRECTORY",
            )
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / MARK).touch()
    for name in ("ORDERLOOM_LAKE", "ORDERLOOM_LEDGER"):
        os.environ.pop(name, None)
    os.environ["ORDERLOOM_HOME"] = str(home)
    os.environ["ORDERLOOM_ACCOUNTS"] = str(home / "accounts.toml")
    return Places.from_environment()


def _point_at(box: Sandbox, places: Places) -> None:
    """Write the accounts file of this sandbox and set the variables that it names."""
    places.accounts.write_text(box.accounts_toml(), encoding="utf-8")
    os.environ.update(box.environment())


def _sync(workshop: Workshop, runner: Runner, watch: console.Watch) -> list[Ran]:
    began = time.monotonic()
    synced, published = sync_accounts(runner, chosen(workshop, ()), watch)
    print_syncs(workshop, synced)
    total = sum(each.ran.metadata.get("changes", {}).get("received", 0) for each in synced)
    console.out.print(f"{total:,} orders received in {time.monotonic() - began:.1f} s.\n")
    return [*_runs(synced), published]


def _runs(synced: list[Synced]) -> list[Ran]:
    return [each.ran for each in synced]


def _answer(places: Places) -> None:
    console.out.print("[bold]4. Questions[/] that an analyst would ask.")
    for question in questions():
        console.out.print(f"\n[bold]{question.title}[/]")
        console.out.print(question.sql, style="dim", markup=False)
        columns, rows = ask(places, question.sql)
        console.table("", columns, rows)


def _say_where(places: Places, seconds: float) -> None:
    home = f"ORDERLOOM_HOME={places.home} "
    home = "" if places.home == Path("var").absolute() else home
    console.out.print(
        f"""
[bold]5. It is yours now[/] ({seconds:.0f} s in all).
   The marts        {places.marts}
   Open them        {home}.venv/bin/orderloom query "SHOW TABLES"
                    or, from Python: duckdb.connect("{_short(places.marts)}", read_only=True)
   These very runs  {home}.venv/bin/orderloom ui   then http://127.0.0.1:3000
   Your own account copy the account's table from README.md into accounts.toml, set the variables
                    that it names, then: .venv/bin/orderloom doctor && .venv/bin/orderloom sync""",
        markup=True,
    )


def _short(path: Path) -> str:
    """A path as it is written from the folder that the command was given in."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
