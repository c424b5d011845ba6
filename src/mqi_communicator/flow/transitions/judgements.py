"""Which judgement of a case this is, told from its events, and where the results of each lie. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mqi_communicator.case.model import CASE_ITEM
from mqi_communicator.flow.transitions.decide import EXTENDED
from mqi_communicator.store.chain import Entry

REJUDGED = "order.rejudge"
JUDGEMENT_RECOVERED = "case.judgement_recovered"  # a later judgement was delivered than a store that came back knows of


def number(history: Sequence[Entry]) -> int:
    """Counted from 1: an order to judge again, and a longer run, each beget another."""
    return 1 + sum(one.beam == CASE_ITEM and one.name in (REJUDGED, EXTENDED, JUDGEMENT_RECOVERED) for one in history)


def folder(key: str, judgement: int) -> str:
    """The name of the folder in the results: the first judgement has the case's own."""
    return key if judgement == 1 else f"{key}-judged-{judgement}"
