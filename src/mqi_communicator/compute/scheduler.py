"""The port to a scheduler: a pure translator between jobs and the requests to a host. The caller sends the requests.

remote/verbs/base.sh describes the layout of the workspace on the host. A gate is a folder that is created under a
temporary name, with the record of its owner inside (`started` of a job, `barred` of the communicator), and then
renamed into place: a folder that is not empty cannot be replaced by a rename, so a gate has exactly one owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.compute.job import Job


class JobState(StrEnum):
    """What is known of a job. UNKNOWN is a state of its own and never means that the job has ended."""

    ABSENT = "absent"  # proved: no gate and no record anywhere; it never started
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"  # it has an exit file
    LOST = "lost"  # proved: it started, left no exit file, and no process of it is alive (or the host rebooted)
    BARRED = "barred"  # the communicator took the gate: the job can never start
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a job ended without an exit file, according to the scheduler."""

    TIME_LIMIT = "time_limit"
    MEMORY = "memory"
    NODE = "node"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One observation of one job. `raw` keeps the scheduler's own text."""

    state: JobState
    raw: str = ""
    exit_code: int | None = None
    started: float | None = None  # epoch seconds, the host's clock
    ended: float | None = None
    log_tail: str = ""  # the log, or its first and last 4 kB with `mqi-cut N` between; undecodable bytes replaced
    products: Mapping[str, tuple[int, str]] | None = None  # path -> (bytes, sha256), once ENDED
    cause: Cause | None = None  # of LOST
    queued_because: str = ""  # why it is still QUEUED
    stuck: bool = False  # QUEUED for a reason that requires action


class Scheduler(Protocol):
    """Slurm, or a plain host. Every request is idempotent and may be repeated after a lost response."""

    tick_s: float  # seconds between two polls of all jobs

    @property
    def name(self) -> Literal["direct", "slurm"]:
        """Which scheduler it is."""
        ...

    def submit(self, job: Job) -> RemoteRequest:
        """Start the job detached unless its gate, run folder or queue entry exists already."""
        ...

    def read_submit(self, response: RemoteResponse) -> str:
        """The scheduler's own id for the job ("" where there is none). Raises Transient/ActionRequired/Permanent."""
        ...

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs, and the host's GPUs if it has any; then report each job that ends within `wait_s`."""
        ...

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for every token; UNKNOWN unless the response proves another state."""
        ...

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """The status in a line that arrived before the end of the response; None if it is not about a job."""
        ...

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gate if it is free, else end the job with all it started (TERM, then KILL) and wait until no member
        is alive. The next poll proves the end (ENDED, LOST or BARRED)."""
        ...

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if the cancellation was carried out; raise a fault if not."""
        ...
