"""Format the figures as a table, and write it to docs/performance.md."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; with a target also whether it was met."""

    what: str
    found: str
    target: str = ""
    met: bool | None = None

    @property
    def word(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


def as_text(rows: Sequence[Row]) -> str:
    return "\n".join(f"{row.what.replace('*', ''):64} {row.found:22} {row.target:9} {row.word}" for row in rows)


def as_markdown(rows: Sequence[Row], conditions: str) -> str:
    lines = [f"| {row.what} | {row.found} | {row.target} | {row.word} |" for row in rows]
    table = "\n".join(("| what | best / median | target | |", "|---|---|---|---|", *lines))
    return f"Measured at {_commit()} on {platform.machine()}, {conditions}\n\n{table}"


def write_page(figures: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


def _commit() -> str:
    words = ("git", "-C", str(PAGE.parent), "rev-parse", "--short", "HEAD")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
