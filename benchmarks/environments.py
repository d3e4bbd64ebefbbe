"""Virtual environments of what is compared, one each.

Belongs here: making them from `requirements-NAME.txt`, and saying what is in them. Does not belong
here: what runs in them (`contestants/`). orderloom's own is the project's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from benchmarks.measure import ENVIRONMENTS

HERE = Path(__file__).parent
NAMES = ("server", "limit", "pandas", "dlt")


def interpreter(name: str) -> Path:
    """The Python of an environment, which is made first where it is missing or out of date."""
    folder, requirements = ENVIRONMENTS / name, HERE / f"requirements-{name}.txt"
    python, done = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = sha256(requirements.read_bytes()).hexdigest()
    if done.exists() and done.read_text(encoding="ascii") == wanted:
        return python
    sys.stderr.write(f"Installing into {folder.relative_to(ENVIRONMENTS.parent)}.\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--requirement", requirements],
        check=True,
    )  # fmt: skip
    done.write_text(wanted, encoding="ascii")
    return python


def version(name: str, package: str) -> str:
    """The version of a package that an environment's requirements pin."""
    text = (HERE / f"requirements-{name}.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)$", text, re.MULTILINE)
    assert found, f"requirements-{name}.txt does not pin {package}"
    return found[1]
