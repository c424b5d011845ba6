#!/usr/bin/env python3
"""Ask whether a library of poetry.lock has a known flaw (pip-audit). Needs a network.

.venv/bin/python setup/audit.py

Exit: 0 no known flaw; 1 some, each named; 3 it could not be asked. A library that was passed over counts as a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lockfile import ROOT, locked, plain

LIMIT_S = 300
FOUND, NOT_ASKED = 1, 3


def main() -> int:
    """Ask, and say what came of it."""
    packages = locked(ROOT, everything=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted, answer = Path(folder) / "wanted.txt", Path(folder) / "answer.json"
        wanted.write_text("".join(f"{package['name']}=={package['version']}\n" for package in packages))
        words = ["-r", str(wanted), "--no-deps", "--disable-pip", "--strict", "-f", "json", "-o", str(answer)]
        argv = [sys.executable, "-m", "pip_audit", *words, "--progress-spinner", "off"]
        try:
            ended = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
            told = json.loads(answer.read_text())["dependencies"]
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            print("NOT ASKED: no answer about known flaws (no network?); nothing is known either way")  # noqa: T201
            return NOT_ASKED
    return judged({plain(package["name"]) for package in packages}, told, ended.returncode)


def judged(wanted: set[str], told: list[dict[str, Any]], code: int) -> int:
    """The exit code for what was told of each library."""
    flaws = [f"{one['name']} {one['version']}: {flaw['id']}" for one in told for flaw in one.get("vulns", [])]
    asked = {plain(one["name"]) for one in told if "skip_reason" not in one}
    passed_over = sorted(wanted - asked)
    for line in (*flaws, *(f"{name}: was passed over" for name in passed_over)):
        print(line)  # noqa: T201
    if flaws or passed_over or code:
        return FOUND
    print(f"no known flaw in {len(asked)} libraries")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
