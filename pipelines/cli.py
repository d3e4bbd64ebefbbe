"""The command line.

Belongs here: arguments, exit codes, and which function does the work. Does not belong here: work.
Modules are imported by the command that needs them, so that `orderloom --help` stays quick.

Exit codes: 0 all of it worked; 1 some account failed, the others are published; 2 usage or
configuration error; 130 interrupted.
"""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from resources.errors import ConfigurationError, OrderloomError

INTERRUPTED = 130


class Day(click.ParamType[date]):
    """A civil date, YYYY-MM-DD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read the date, or say how it is written."""
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007
        except ValueError:
            self.fail(f"{value!r} is no day: write it as 2026-11-22", param, ctx)


class OneLine(click.Group):
    """Ends every known error in one line and an exit code, never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        from pipelines.problems import explained

        try:
            return super().invoke(ctx)
        except ConfigurationError as fault:
            _end(str(fault), 2)
        except OrderloomError as fault:
            _end(str(fault), 1)
        except KeyboardInterrupt:
            _end("interrupted; what was landed is kept, run it again to go on", INTERRUPTED)
        except click.exceptions.Exit:
            raise
        except (click.ClickException, click.Abort, BrokenPipeError):
            raise
        except Exception as fault:  # noqa: BLE001  (the outermost place: no traceback for users)
            _end(explained(fault), 1)


def _end(line: str, code: int) -> None:
    click.echo(f"orderloom: {line}", err=True)
    sys.exit(code)


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orderloom")
def main() -> None:
    """Pull orders from five order APIs into one schema, and query them in DuckDB.

    Accounts stand in accounts.toml (ORDERLOOM_ACCOUNTS), everything made in ./var
    (ORDERLOOM_HOME). An account is written brightpearl.acme.
    """


@main.command()
@click.option("--home", type=click.Path(path_type=Path), default=None, help="Default: ./var.")
def demo(home: Path | None) -> None:
    """Sync five sandbox accounts twice and answer questions about them."""
    from pipelines.demo import run

    sys.exit(run(home))


@main.command()
@click.option("--port", default=8765, show_default=True, help="Port of the APIs; control is next.")
@click.option("--lift-limits", is_flag=True, help="Refuse no request for being one too many.")
@click.option("--ticking/--standing", default=True, show_default=True, help="Whether time passes.")
@click.option("--repeat", default=1, show_default=True, help="Serve the sample this many times.")
@click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    default=Path("accounts.toml"),
    show_default=True,
    help="Write an accounts file for it here, if there is none.",
)
def sandbox(port: int, lift_limits: bool, ticking: bool, repeat: int, accounts: Path) -> None:
    """Serve the five APIs on loopback, with real orders and a clock that can be moved."""
    from pipelines.serving import serve

    serve(port, lifted=lift_limits, ticking=ticking, repeat=repeat, accounts=accounts)


@main.command()
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
def sync(accounts: tuple[str, ...]) -> None:
    """Pull what changed in the accounts (default: all of them) and publish."""
    from pipelines.commands import sync as work

    sys.exit(work(accounts))


@main.command()
@click.argument("account")
@click.option("--from", "first", type=Day(), required=True, help="First day, YYYY-MM-DD.")
@click.option("--to", "last", type=Day(), required=True, help="Last day, included.")
def backfill(account: str, first: date, last: date) -> None:
    """Pull what was created in an account on these days, and publish."""
    from pipelines.commands import backfill as work

    sys.exit(work(account, first, last))


@main.command()
@click.argument("account")
@click.option("--send", is_flag=True, help="Send them; without it they are only shown.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most so many orders.")
@click.option("--list", "listing", is_flag=True, help="Show what waits for a decision.")
@click.option(
    "--resolve",
    type=(str, click.Choice(["accepted", "refused", "again"])),
    default=None,
    metavar="ORDER DECISION",
    help="Decide on one of these: accepted, refused (never send it) or again (send it again).",
)
def push(
    account: str,
    send: bool,
    limit: int | None,
    listing: bool,
    resolve: tuple[str, str] | None,
) -> None:
    """Register delivered orders of the marts for a review invitation."""
    if send + listing + (resolve is not None) > 1:
        raise click.UsageError("--send, --list and --resolve exclude one another")
    from pipelines import pushing

    if listing:
        sys.exit(pushing.show_open(account))
    if resolve is not None:
        sys.exit(pushing.resolve(account, *resolve))
    sys.exit(pushing.send(account, limit) if send else pushing.show_plan(account, limit))


@main.command()
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option(
    "--accept-mass-deletion",
    is_flag=True,
    help="Go on where more than a fifth of an account's orders is missing: somebody has looked.",
)
def sweep(accounts: tuple[str, ...], accept_mass_deletion: bool) -> None:
    """Look which known orders the sources still have, and publish what is gone."""
    from pipelines.commands import sweep as work

    sys.exit(work(accounts, accept_mass_deletion=accept_mass_deletion))


@main.command()
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
def replay(accounts: tuple[str, ...]) -> None:
    """Normalise everything landed afresh (after a mapping changed), and publish."""
    from pipelines.commands import replay as work

    sys.exit(work(accounts))


@main.command()
@click.option(
    "--accept-unlike-before",
    multiple=True,
    metavar="ACCOUNT",
    help="Publish it although orders are gone or amounts changed beyond belief: somebody looked. "
    "May be given again for further accounts.",
)
def rebuild(*, accept_unlike_before: tuple[str, ...]) -> None:
    """Build the marts afresh from the lake."""
    from pipelines.commands import rebuild as work

    sys.exit(work(accept_unlike_before=accept_unlike_before))


@main.command()
def compact() -> None:
    """Rewrite the lake's small files into larger ones."""
    from pipelines.commands import compact as work

    sys.exit(work())


@main.command()
@click.option("--email", metavar="ADDRESS", help="Whose: the e-mail address; - reads it.")
@click.option("--name", metavar="NAME", help="Or the full name; - reads it.")
@click.option("--customer-id", metavar="ID", help="Or an account's customer id; - reads it.")
@click.option("--account", metavar="ACCOUNT", help="The account of a customer id, or of a name.")
@click.option("--yes", is_flag=True, help="Erase; without it is only shown what would be.")
@click.option("--namesakes", is_flag=True, help="With --name: all who go by that name.")
@click.option("--list", "listing", is_flag=True, help="Show the erasures so far.")
@click.option("--release", metavar="ERASURE", help="Keep again what that person orders anew.")
def erase(
    email: str | None,
    name: str | None,
    customer_id: str | None,
    account: str | None,
    yes: bool,
    namesakes: bool,
    listing: bool,
    release: str | None,
) -> None:
    """Erase one person from everything that is kept, and prove it."""
    from pipelines import erasing

    if listing:
        sys.exit(erasing.show_all())
    if release is not None:
        sys.exit(erasing.release(release))
    sys.exit(erasing.erase(email, name, customer_id, account, yes=yes, namesakes=namesakes))


@main.command()
def status() -> None:
    """Show each account: last success, last problem, how far it has come.

    Exit code 1 where the last run of an account failed, or an account is stale.
    """
    from pipelines.status import show

    sys.exit(show())


@main.command()
@click.argument("sql")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json", "markdown", "parquet"]),
    default=None,
    help="Default: as the name of --output says, else a table.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, help="File to write."
)
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most so many rows.")
@click.option("--all", "everything", is_flag=True, help="All rows of a table, not the first 40.")
def query(
    sql: str, style: str | None, output: Path | None, limit: int | None, everything: bool
) -> None:
    """Ask the published marts a question in SQL; SQL may be - for standard input."""
    from pipelines.asking import Wish, answer

    sys.exit(answer(sql, Wish(style, output, limit, everything)))


@main.command()
def shell() -> None:
    """Open DuckDB's prompt on the published marts, read-only."""
    from pipelines.shell import start

    start()


@main.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Default: report.html in ORDERLOOM_HOME.",
)
def report(output: Path | None) -> None:
    """Write one HTML page about sales, open orders, lead times and data quality."""
    from pipelines.report.page import write

    sys.exit(write(output))


@main.command()
def doctor() -> None:
    """Check configuration, credentials, reachability and clock, without pulling anything."""
    from pipelines.doctor import examine

    sys.exit(examine())


@main.command()
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def ui(port: int, host: str) -> None:
    """Open the Dagster UI on this home's runs."""
    from pipelines.serving import open_ui

    sys.exit(open_ui(host, port))


if __name__ == "__main__":
    main()
