"""Fetch axe-core, which checks pages for barriers: `python3 tests/browser/fetch_axe.py TARGET_DIR`.

axe-core (Deque Systems, MPL-2.0) comes from the npm registry and is verified by its digest. Only its one script and its
licence are kept. It may be run again at any time. It is used by tests alone and is no part of MQI Communicator.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import urllib.request
from pathlib import Path

ADDRESS = "https://registry.npmjs.org/axe-core/-/axe-core-4.10.3.tgz"
SHA256 = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
SCRIPT = "axe.min.js"
_KEPT = (f"package/{SCRIPT}", "package/LICENSE")
_TIMEOUT_S = 60


def main(target: Path) -> int:
    """Fetch the script unless it exists. Return 0 if it exists now, else 1 with the reason on stderr."""
    if (target / SCRIPT).is_file():
        return 0
    try:
        with urllib.request.urlopen(ADDRESS, timeout=_TIMEOUT_S) as answer:
            data = answer.read()
    except OSError as error:
        sys.stderr.write(f"error: {ADDRESS} cannot be fetched: {error}\n")
        return 1
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        sys.stderr.write(f"error: {ADDRESS} has sha256 {found}, expected {SHA256}\n")
        return 1
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        for name in _KEPT:
            member = package.extractfile(name)
            if member is None:
                sys.stderr.write(f"error: {ADDRESS} does not contain {name}\n")
                return 1
            (target / Path(name).name).write_bytes(member.read())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
