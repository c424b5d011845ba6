"""The compute hosts, and the choice of one for a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.compute.options import GpuOptions
from mqi_communicator.compute.scheduler import Scheduler
from mqi_communicator.flow.hosts.guard import GuardedHost
from mqi_communicator.flow.hosts.poller import JobPoller


@dataclass(frozen=True, slots=True)
class ComputeHost:
    """One host: its connection, its scheduler, its limits."""

    name: str
    guarded: GuardedHost
    scheduler: Scheduler
    poller: JobPoller
    root: str  # our workspace on the host, an absolute path
    slots: int  # job slots: how many jobs of ours it may hold at once
    gpus: GpuOptions | None  # None: only its scheduler manages GPUs

    @property
    def width(self) -> int:
        """How many of our jobs are likely to compute at once, as far as is known."""
        known = len(self.poller.gpus.gpus)
        return min(self.slots, known) if self.gpus is not None and known else self.slots


@dataclass(frozen=True, slots=True)
class HostEstimate:
    """How soon a case could be computed on one host."""

    name: str
    paused: bool  # a breaker is open
    slots: int
    busy: int  # slots in use
    waiting: int  # beams waiting for a slot
    job_s: float  # duration of a job there: the median of the measured ones, or an assumption


def best(estimates: Sequence[HostEstimate], beams: int) -> str:
    """The host on which a case of `beams` beams can start first, then end first; hosts that do not answer come last.
    The order of the configuration decides between equals."""
    return min(estimates, key=lambda one: (one.paused, _begin_s(one), _end_s(one, beams))).name


def _begin_s(one: HostEstimate) -> float:
    """Seconds until a slot is likely to be free for another beam."""
    over = one.busy + one.waiting + 1 - one.slots
    return max(0, over) / one.slots * one.job_s


def _end_s(one: HostEstimate, beams: int) -> float:
    return (one.busy + one.waiting + beams) / one.slots * one.job_s
