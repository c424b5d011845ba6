#!/usr/bin/env python3
"""What production needs of poetry.lock, as requirements for pip: each version by the digests of its wheels.

python3 setup/requirements.py > requirements.txt

pip itself leaves out what the markers do not want on its machine.
"""

from __future__ import annotations

import sys
from typing import Any

from lockfile import ROOT, locked, plain


def requirement(package: dict[str, Any]) -> str:
    """One line of pip's."""
    markers = package.get("markers", "")
    if isinstance(markers, dict):  # they differ by group
        markers = markers.get("main", "")
    condition = f" ; {markers}" if markers else ""
    digests = sorted(file["hash"] for file in package["files"] if file["file"].endswith(".whl"))
    return " ".join((f"{plain(package['name'])}=={package['version']}{condition}", *(f"--hash={it}" for it in digests)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    for line in map(requirement, locked(ROOT, everything=False)):
        print(line)  # noqa: T201
