"""On what something was measured.

Belongs here: the machine and the versions, as results name them. Does not belong here: results.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

from benchmarks.environments import version

OURS = ("dagster", "deltalake", "duckdb", "pyarrow", "httpx", "msgspec")


def described() -> dict[str, object]:
    """Processor, cores, memory, system, Python, versions, day."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{_distribution()}, Linux {_kernel()}",
        "python": platform.python_version(),
        "versions": {
            "orderloom": {name: installed(name) for name in OURS},
            "dlt": {name: version("dlt", name) for name in ("dlt", "duckdb", "pyarrow")},
            "pandas": {name: version("pandas", name) for name in ("pandas", "httpx", "duckdb")},
            "limit": {name: version("limit", name) for name in ("aiohttp", "msgspec", "duckdb")},
        },
        "taken_on": datetime.now(UTC).date().isoformat(),
    }


def _kernel() -> str:
    return platform.release().partition("-")[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
