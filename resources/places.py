"""Where things are kept.

Belongs here: paths and URLs, and the environment variables that move them. Does not belong here:
opening or creating anything beyond the home folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from resources.errors import ConfigurationError


@dataclass(frozen=True)
class Places:
    """Every place that orderloom reads or writes. Paths are absolute."""

    home: Path
    """`ORDERLOOM_HOME`, default `./var`."""
    lake: str
    """`ORDERLOOM_LAKE`, default `HOME/lake`: a local path or an object-store URL."""
    ledger: str
    """`ORDERLOOM_LEDGER`, default `HOME/ledger.sqlite`: a SQLAlchemy URL."""
    accounts: Path
    """`ORDERLOOM_ACCOUNTS`, default `accounts.toml`."""

    @classmethod
    def from_environment(cls) -> Places:
        """The places that the environment names; an empty variable counts as unset."""
        home = _path(os.environ.get("ORDERLOOM_HOME") or "var")
        lake = os.environ.get("ORDERLOOM_LAKE") or str(home / "lake")
        return cls(
            home=home,
            lake=lake if "://" in lake else str(_path(lake)),
            ledger=os.environ.get("ORDERLOOM_LEDGER") or f"sqlite:///{home / 'ledger.sqlite'}",
            accounts=accounts_path(),
        )

    @property
    def marts(self) -> Path:
        """The published DuckDB file, a symlink to the newest one."""
        return self.home / "marts.duckdb"

    @property
    def dagster(self) -> Path:
        """Dagster's own folder (`DAGSTER_HOME`)."""
        return self.home / "dagster"

    @property
    def budgets(self) -> Path:
        """The folder through which processes share their request budgets."""
        return self.home / "budgets"

    @property
    def shell_history(self) -> Path:
        """What was typed at the prompt of `orderloom shell`; DuckDB chooses the name."""
        return self.home / ".duckdb_history"

    def prepare(self) -> None:
        """Make the home folder, readable by its owner alone: it holds personal data.

        Raises ConfigurationError if it cannot be made or written to.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make the home folder: {error.strerror}",
                str(self.home),
                "set ORDERLOOM_HOME to a folder that you may write to",
            ) from error
        if not os.access(self.home, os.W_OK | os.X_OK):
            raise ConfigurationError(
                "cannot write to the home folder",
                str(self.home),
                "set ORDERLOOM_HOME to a folder that you may write to",
            )


def accounts_path() -> Path:
    """Where accounts.toml is: `ORDERLOOM_ACCOUNTS`, default `accounts.toml`; absolute."""
    return _path(os.environ.get("ORDERLOOM_ACCOUNTS") or "accounts.toml")


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()
