"""When a case is likely to be ready, from how long jobs took so far. Pure: a queue played through in the mind."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queued:
    """A case on a host, in the order of the queue: seconds that its running beams still need, and beams not begun."""

    case: str
    running: tuple[float, ...]
    waiting: int


def ready_in(queue: Sequence[Queued], *, width: int, job_s: float, tail_s: float) -> dict[str, float]:
    """Seconds until each case is delivered, on a host that computes `width` jobs at once, each of `job_s`.

    `tail_s` is what follows the last beam: bringing home, comparing, delivering.
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
