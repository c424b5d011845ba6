"""The hosts that compute, and which of them a case goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.compute.options import GpuOptions
from mqi_communicator.compute.scheduler import Scheduler
from mqi_communicator.flow.hosts.guard import GuardedHost
from mqi_communicator.flow.hosts.poller import JobPoller


@dataclass(frozen=True, slots=True)
class ComputeHost:
    """One host: how it is asked, who runs jobs there, what it may hold."""

    name: str
    guarded: GuardedHost
    scheduler: Scheduler
    poller: JobPoller
    root: str  # our workspace there, an absolute path
    slots: int  # jobs of ours it may hold at once
    gpus: GpuOptions | None  # None: nobody looks after GPUs there but its scheduler

    @property
    def width(self) -> int:
        """How many jobs of ours are likely to compute at once, as far as is known."""
        known = len(self.poller.gpus.gpus)
        return min(self.slots, known) if self.gpus is not None and known else self.slots


@dataclass(frozen=True, slots=True)
class HostEstimate:
    """What a case may expect of one host."""

    name: str
    paused: bool  # its breaker is open: it is not counted on
    slots: int
    busy: int  # places taken
    waiting: int  # beams that want one
    job_s: float  # how long a job takes there, from those measured; an assumption where none was


def best(estimates: Sequence[HostEstimate], beams: int) -> str:
    """Where a case of so many beams can begin first, and, where that is the same, end first; hosts that do not answer
    come last. The order of the configuration decides between equals."""
    return min(estimates, key=lambda one: (one.paused, _begin_s(one), _end_s(one, beams))).name


def _begin_s(one: HostEstimate) -> float:
    """Seconds until a place is likely to be free for one beam more."""
    over = one.busy + one.waiting + 1 - one.slots
    return max(0, over) / one.slots * one.job_s


def _end_s(one: HostEstimate, beams: int) -> float:
    return (one.busy + one.waiting + beams) / one.slots * one.job_s
