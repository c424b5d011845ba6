"""Digests of files. Loads nothing heavy."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_of(path: Path) -> str:
    """sha256 in hex of a file, which is not read into memory whole."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """sha256 in hex of every file below a folder, by relative name."""
    return {str(path.relative_to(folder)): digest_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}
