"""The verdict in a delivered folder: of a plan, or of a fraction. Loads nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path

from mqi_communicator.results.documents import DELIVERY, VERDICT, verdict_of
from mqi_communicator.results.verdict import CheckOutcome

VERDICTS = (VERDICT, DELIVERY)  # one of them is in each delivered folder


def read_verdict(folder: Path) -> tuple[CheckOutcome, str]:
    """Verdict and cause. OSError or ValueError if they cannot be read."""
    if (folder / DELIVERY).is_file():
        document = json.loads((folder / DELIVERY).read_bytes())
        try:
            return CheckOutcome(document["word"]), str(document["why"])
        except (KeyError, TypeError):
            raise ValueError(f"{DELIVERY} has no verdict") from None
    found = verdict_of((folder / VERDICT).read_bytes())
    return found.outcome, found.why
