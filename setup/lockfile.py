#!/usr/bin/env python3
"""Print the libraries of poetry.lock as requirements for pip, each version with the digests of its wheels.

python3 setup/lockfile.py run > requirements.txt      (test: with the tools of the tests)

pip itself skips libraries whose markers do not match its machine.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def locked(root: Path, *, everything: bool) -> list[dict[str, Any]]:
    """The packages of poetry.lock; without `everything`, those of the main group."""
    packages = tomllib.loads((root / "poetry.lock").read_text(encoding="utf-8"))["package"]
    return [package for package in packages if everything or "main" in package.get("groups", ["main"])]


def plain(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement(package: dict[str, Any], groups: tuple[str, ...]) -> str:
    """One line of a requirements file, with the condition under which one of the groups needs the package."""
    markers = package.get("markers", "")
    if isinstance(markers, dict):  # one per group; a group that is not named needs it always
        wanted = [markers.get(group, "") for group in groups if group in package["groups"]]
        markers = " or ".join(f"({marker})" for marker in wanted) if all(wanted) else ""
    condition = f" ; {markers}" if markers else ""
    digests = sorted(file["hash"] for file in package["files"] if file["file"].endswith(".whl"))
    return " ".join((f"{plain(package['name'])}=={package['version']}{condition}", *(f"--hash={it}" for it in digests)))


if __name__ == "__main__":
    GROUPS = {"run": ("main",), "test": ("main", "dev")}
    if len(sys.argv) != 2 or sys.argv[1] not in GROUPS:  # noqa: PLR2004 - the script and one word
        sys.exit(__doc__)
    for entry in locked(ROOT, everything=sys.argv[1] == "test"):
        print(requirement(entry, GROUPS[sys.argv[1]]))  # noqa: T201
