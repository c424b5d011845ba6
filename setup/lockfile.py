"""Read poetry.lock: the libraries and their versions."""

from __future__ import annotations

import re
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
