"""Commands that stay: the sandbox by hand, and the Dagster UI.

Belongs here: starting them with the right surroundings. Does not belong here: what they serve.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pipelines import console
from resources.errors import ConfigurationError
from resources.places import Places
from sandbox.server import Sandbox


def serve(port: int, *, lifted: bool, ticking: bool, repeat: int, accounts: Path) -> None:
    """Serve the sandbox until interrupted."""
    with Sandbox(
        lifted=lifted,
        ticking=ticking,
        repeat=repeat,
        port=port,
        control_port=port + 1 if port else 0,
    ) as box:
        console.out.print(f"APIs     {box.address}")
        console.out.print(f"control  {box.control_address}  (GET / there explains it)")
        console.out.print("limits   " + ("lifted" if lifted else "those of the real APIs"))
        console.out.print(f"clock    {box.clock.now():%Y-%m-%d %H:%M} UTC")
        if accounts.exists():
            console.out.print(f"accounts {accounts} exists and is left as it is")
        else:
            accounts.write_text(box.accounts_toml(), encoding="utf-8")
            console.out.print(f"accounts {accounts} written; it names these variables:")
        for name, value in box.environment().items():
            console.out.print(f"  export {name}={value}", markup=False)
        console.out.print("Ctrl-C ends it.")
        over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        try:
            over.wait()
        except KeyboardInterrupt:
            console.out.print("ended")


def open_ui(host: str, port: int) -> int:
    """Run `dagster dev` on this home's instance until it ends, by itself, Ctrl-C or SIGTERM."""
    places = Places.from_environment()
    _prepare(places)
    surroundings = os.environ | {
        "DAGSTER_HOME": str(places.dagster),
        "ORDERLOOM_HOME": str(places.home),
        "ORDERLOOM_ACCOUNTS": str(places.accounts),
        "ORDERLOOM_LAKE": places.lake,
        "ORDERLOOM_LEDGER": places.ledger,
    }
    dagster = Path(sys.executable).with_name("dagster")
    if not dagster.exists():
        raise ConfigurationError(
            "dagster is not installed beside this Python",
            where=str(dagster),
            remedy="install the project again: make setup",
        )
    console.out.print(f"Dagster UI on http://{host}:{port} for {places.home}; Ctrl-C ends it.")
    command = [str(dagster), "dev", "-m", "pipelines.definitions", "-h", host, "-p", str(port)]
    with subprocess.Popen(command, env=surroundings) as running:
        signal.signal(signal.SIGTERM, lambda *_: running.send_signal(signal.SIGINT))
        try:
            return running.wait()
        except KeyboardInterrupt:  # it has been interrupted, too, and ends its own processes
            return 0


def _prepare(places: Places) -> None:
    """Make Dagster's instance, and the accounts its partitions, so that the first page has them."""
    from assets.sources import accounts
    from pipelines.registration import register
    from pipelines.running import instance

    with instance(places) as made:
        try:
            register(made, accounts(places))
        except ConfigurationError as fault:
            console.complain(str(fault))
