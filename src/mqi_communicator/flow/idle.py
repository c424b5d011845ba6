"""Whether only the outside world can move the cases that are left: `run --once` ends then."""

from __future__ import annotations

from collections.abc import Iterable

from mqi_communicator.case.faults import Fault, Unreachable
from mqi_communicator.case.model import Status, WorkItem
from mqi_communicator.case.outcome import Outcome, Wait

UNREACHABLE_TRIES = 3  # in a row: from then on the host is not expected to answer soon


class IdleStates:
    """Remembers by work item whether its last outcome leaves it "parked" or its host "unreachable"."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, int], str] = {}
        self._unanswered: dict[tuple[str, int], int] = {}  # tries in a row

    def note(self, item: WorkItem, outcome: Outcome | Fault) -> None:
        """Take the latest outcome of an item into account."""
        key = (item.case, item.beam)
        self._states.pop(key, None)
        unanswered = self._unanswered.pop(key, 0)
        match outcome:
            case Wait(parked=True):
                self._states[key] = "parked"
            case Unreachable():
                self._unanswered[key] = unanswered + 1
                if self._unanswered[key] >= UNREACHABLE_TRIES:
                    self._states[key] = "unreachable"

    def reason(self, live: Iterable[WorkItem]) -> str:
        """Why none of these items will move: "quiet", "unreachable", or "" while one still may."""
        states = {self._state(item) for item in live}
        if "" in states:
            return ""
        return "unreachable" if "unreachable" in states else "quiet"

    def _state(self, item: WorkItem) -> str:
        if item.status is Status.HELD or item.needs_person:
            return "parked"
        return self._states.get((item.case, item.beam), "")
