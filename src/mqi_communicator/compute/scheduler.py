"""The port to a scheduler: a pure translator between jobs and what a host is asked. Somebody else asks it.

The layout of the workspace on the host stands at the head of the script there (remote/verbs/base.sh). A gate is a
folder that is made aside with its owner's record inside (`started` of a job, `barred` of the communicator) and then
renamed into place: a folder that is not empty cannot be renamed over, so there is one owner, known at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.compute.job import Job


class JobState(StrEnum):
    """What is known of a job. UNKNOWN is a state; it is never read as an end."""

    ABSENT = "absent"  # by evidence: no gate, no record anywhere; it never began
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"  # its own exit file says so
    LOST = "lost"  # by evidence: it began, left no exit file, and no process of it lives (or the host rebooted)
    BARRED = "barred"  # the communicator itself took the gate: it can never begin
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """What ended a job that left no exit file, by a scheduler's word."""

    TIME_LIMIT = "time_limit"
    MEMORY = "memory"
    NODE = "node"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One observation of one job. `raw` keeps the scheduler's own words."""

    state: JobState
    raw: str = ""
    exit_code: int | None = None
    started: float | None = None  # epoch seconds, the host's clock
    ended: float | None = None
    log_tail: str = ""  # the log, or its first and last 4 kB with `mqi-cut N` between; undecodable bytes replaced
    products: Mapping[str, tuple[int, str]] | None = None  # path -> (bytes, sha256), once ENDED
    cause: Cause | None = None  # of LOST
    queued_because: str = ""  # why it is still QUEUED, in words
    stuck: bool = False  # QUEUED for a reason that does not go away by itself


class Scheduler(Protocol):
    """Slurm, or a plain host. Every question is idempotent and may be asked again after a lost answer."""

    tick_s: float  # seconds between two looks at all jobs

    @property
    def name(self) -> Literal["direct", "slurm"]:
        """Which one it is."""
        ...

    def submit(self, job: Job) -> RemoteRequest:
        """Start the job detached unless its gate, run folder or queue entry exists already."""
        ...

    def read_submit(self, response: RemoteResponse) -> str:
        """The scheduler's own id for the job ("" where there is none). Raises Transient/ActionRequired/Permanent."""
        ...

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs, and the host's GPUs where it has some; then tell, for `wait_s`, of each that ends."""
        ...

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for every token asked for; UNKNOWN for each that the answer does not prove."""
        ...

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """What one line tells that came before the answer's end; None if it tells of no job."""
        ...

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gate if it is free, else end the job with all it started (TERM, then KILL) and wait until no member
        lives. Proof of the end is the following poll's (ENDED, LOST or BARRED)."""
        ...

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if the order was carried out; a fault if not."""
        ...
