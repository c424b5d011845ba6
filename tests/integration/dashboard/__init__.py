"""The dashboard as a real process."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

ENDED = 130  # cases of the planted store that have ended


def asked(base: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(base / "workspace/store.sqlite3") as store:
        return store.execute(query, values).fetchall()
