"""The verdict in a delivered folder: of a plan, or of a fraction."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.results.delivered.documents import DELIVERY, verdict_in
from mqi_communicator.results.documents import VERDICT, verdict_of
from mqi_communicator.results.verdict import CheckOutcome

VERDICTS = (VERDICT, DELIVERY)  # one of them is in each delivered folder


def read_verdict(folder: Path) -> tuple[CheckOutcome, str]:
    """Verdict and cause. OSError or ValueError if they cannot be read."""
    if (folder / DELIVERY).is_file():
        return verdict_in((folder / DELIVERY).read_bytes())
    found = verdict_of((folder / VERDICT).read_bytes())
    return found.outcome, found.why
