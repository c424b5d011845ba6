#!/usr/bin/env python3
"""Print the production libraries of poetry.lock as requirements for pip, each version with the digests of its wheels.

python3 setup/requirements.py > requirements.txt

pip itself skips libraries whose markers do not match its machine.
"""

from __future__ import annotations

import sys
from typing import Any

from lockfile import ROOT, locked, plain


def requirement(package: dict[str, Any]) -> str:
    """One line of a requirements file."""
    markers = package.get("markers", "")
    if isinstance(markers, dict):  # one per group
        markers = markers.get("main", "")
    condition = f" ; {markers}" if markers else ""
    digests = sorted(file["hash"] for file in package["files"] if file["file"].endswith(".whl"))
    return " ".join((f"{plain(package['name'])}=={package['version']}{condition}", *(f"--hash={it}" for it in digests)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    for line in map(requirement, locked(ROOT, everything=False)):
        print(line)  # noqa: T201
