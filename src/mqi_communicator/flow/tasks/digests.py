"""Digests of the files of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digests_of(folder: Path) -> dict[str, str]:
    """sha256 in hex of every file below a folder, by relative name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as handle:
                found[str(path.relative_to(folder))] = hashlib.file_digest(handle, "sha256").hexdigest()
    return found
