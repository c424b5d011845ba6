#!/usr/bin/env python3
"""Check the libraries of poetry.lock for known vulnerabilities (pip-audit). Needs a network.

.venv/bin/python .ci/audit.py

Exit: 0 no known vulnerability; 1 some, each is listed; 3 no network. A skipped library counts as a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "setup"))

from lockfile import ROOT, locked, plain

LIMIT_S = 300
FOUND, NOT_AUDITED = 1, 3


def main() -> int:
    """Run the audit and print its result."""
    packages = locked(ROOT, everything=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted, answer = Path(folder) / "wanted.txt", Path(folder) / "answer.json"
        wanted.write_text("".join(f"{package['name']}=={package['version']}\n" for package in packages))
        words = ["-r", str(wanted), "--no-deps", "--disable-pip", "--strict", "-f", "json", "-o", str(answer)]
        argv = [sys.executable, "-m", "pip_audit", *words, "--progress-spinner", "off"]
        try:
            ended = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
            report = json.loads(answer.read_text())["dependencies"]
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            print("NOT AUDITED: the vulnerability database does not answer (no network?); the result is unknown")  # noqa: T201
            return NOT_AUDITED
    return judge({plain(package["name"]) for package in packages}, report, ended.returncode)


def judge(wanted: set[str], report: list[dict[str, Any]], code: int) -> int:
    """Print vulnerabilities and skipped libraries; return the exit code."""
    flaws = [f"{one['name']} {one['version']}: {flaw['id']}" for one in report for flaw in one.get("vulns", [])]
    audited = {plain(one["name"]) for one in report if "skip_reason" not in one}
    skipped = sorted(wanted - audited)
    for line in (*flaws, *(f"{name}: was skipped" for name in skipped)):
        print(line)  # noqa: T201
    if flaws or skipped or code:
        return FOUND
    print(f"no known vulnerability in {len(audited)} libraries")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
