"""When a case is likely to be ready: simulates the queue with the job durations measured so far. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queued:
    """A case on a host, in queue order: remaining seconds of its running beams, and beams not started."""

    case: str
    running: tuple[float, ...]
    waiting: int


def ready_in(queue: Sequence[Queued], *, width: int, job_s: float, tail_s: float) -> dict[str, float]:
    """Seconds until each case is delivered, on a host that computes `width` jobs at once, each of `job_s`.

    `tail_s` is the time after the last beam: fetching, comparing, delivering.
    """
    slots = [max(0.0, left) for case in queue for left in case.running]
    slots += [0.0] * max(0, width - len(slots))
    heapq.heapify(slots)
    ready = {}
    for case in queue:
        last = max(case.running, default=0.0)
        for _ in range(case.waiting):
            begins = heapq.heappop(slots)
            heapq.heappush(slots, begins + job_s)
            last = max(last, begins + job_s)
        ready[case.case] = last + tail_s
    return ready
