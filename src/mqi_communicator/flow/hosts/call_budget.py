"""The site's limit of calls per minute to all hosts together, whatever the number of cases."""

from __future__ import annotations

import time
from collections import deque

from mqi_communicator.case.faults import AtLimit

MINUTE = 60.0


class CallBudget:
    """Allows `per_minute` calls in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._calls: deque[float] = deque()

    def spend(self) -> None:
        """Count one call. AtLimit, with the seconds to wait, if the limit is reached."""
        now = time.monotonic()
        while self._calls and self._calls[0] <= now - MINUTE:
            self._calls.popleft()
        if len(self._calls) >= self._most:
            wait = self._calls[0] + MINUTE - now
            limit = f"resources.calls_per_minute = {self._most}"
            raise AtLimit(f"the limit of calls to hosts per minute is reached ({limit})", retry_in=wait)
        self._calls.append(now)
