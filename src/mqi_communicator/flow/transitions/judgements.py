"""The number of a case's judgement, from its events, and the results folder of each. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mqi_communicator.case.model import CASE_ITEM
from mqi_communicator.flow.transitions.decide import EXTENDED
from mqi_communicator.store.chain import Entry

REJUDGED = "order.rejudge"
JUDGEMENT_RECOVERED = "case.judgement_recovered"  # delivered before a restore: unknown to the restored store


REOPENED = "fraction.reopened"  # another delivery of a fraction was joined or refused after it was judged
_ANOTHER = (REJUDGED, EXTENDED, JUDGEMENT_RECOVERED, REOPENED)


def number(history: Sequence[Entry]) -> int:
    """Counted from 1: each order to judge again, each longer run and each further delivery makes another."""
    return 1 + sum(one.beam == CASE_ITEM and one.name in _ANOTHER for one in history)


def folder(key: str, judgement: int) -> str:
    """The name of the results folder: for the first judgement, the case key."""
    return key if judgement == 1 else f"{key}-judged-{judgement}"
