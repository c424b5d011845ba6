"""How often hosts are asked anything, all of them together: an administrator's limit, whatever the number of cases."""

from __future__ import annotations

import time
from collections import deque

from mqi_communicator.case.faults import AtLimit

MINUTE = 60.0


class CallBudget:
    """At most so many calls in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._calls: deque[float] = deque()

    def spend(self) -> None:
        """Count one call now. AtLimit, with how long to wait, if the minute is used up."""
        now = time.monotonic()
        while self._calls and self._calls[0] <= now - MINUTE:
            self._calls.popleft()
        if len(self._calls) >= self._most:
            wait = self._calls[0] + MINUTE - now
            limit = f"resources.calls_per_minute = {self._most}"
            raise AtLimit(f"hosts have been asked often enough for this minute ({limit})", retry_in=wait)
        self._calls.append(now)
