"""The files of a report: their names, their digests, and what an interrupted attempt left. Loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of

HTML, PDF, DATA = "report.html", "report.pdf", "report.json"
NAMES = (HTML, PDF, DATA)


def digests_of_report(spool: Spool) -> dict[str, str]:
    """sha256 in hex of the drawn files, by name."""
    return {name: digest_of(spool.results / name) for name in NAMES}


def remove_report(spool: Spool) -> None:
    """Take away what of a report was begun: nothing half made is delivered."""
    for name in NAMES:
        for path in (spool.results / name, temporary(spool.results / name)):
            path.unlink(missing_ok=True)


def temporary(path: Path) -> Path:
    """Where a file of the report is written before it gets its name."""
    return path.parent / f".{path.name}.part"
