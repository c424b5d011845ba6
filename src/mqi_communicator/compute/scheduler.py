"""The port to a scheduler: a pure translator between jobs and shell text. Somebody else runs the text on the host.

Remote layout, below the remote workspace ROOT (all opaque names, umask 077):

    ROOT/staging/<case key>/            an upload in progress, ROOT/staging/<case key>.lock held by its receiver
    ROOT/cases/<case key>/input/        renamed into place once every digest was verified (SHA256SUMS inside)
    ROOT/cases/<case key>/runs/<token>/ one run: job.sh, log, exit, products.sha256 and what the engine wrote
    ROOT/gates/<token>/                 the gate: a job's first act is to take it; who finds it taken does not compute

A gate is a folder that is made aside with its owner's record inside (`started` of a job, `barred` of the communicator)
and then renamed into place: a folder that is not empty cannot be renamed over, so there is one owner, known at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one beam, as handed to a scheduler."""

    token: str  # Line.token
    case: str
    command: str  # shell text of the engine; stdout and stderr go to the run folder's `log`
    products: tuple[str, ...]  # digested by the job itself into `products.sha256` when the command has ended
    limit: float  # seconds; the wrapper kills the whole session after that (exit 124)


class JobState(StrEnum):
    """What is known of a job. UNKNOWN is a state; it is never read as an end."""

    ABSENT = "absent"  # by evidence: no gate, no record anywhere; it never began
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"  # its own exit file says so
    LOST = "lost"  # by evidence: it began, left no exit file, and no process of it lives (or the host rebooted)
    BARRED = "barred"  # the communicator itself took the gate: it can never begin
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One observation of one job. `raw` keeps the scheduler's own words."""

    state: JobState
    raw: str = ""
    exit_code: int | None = None
    started: float | None = None  # epoch seconds, the host's clock
    ended: float | None = None
    log_tail: str = ""  # the last 4 kB of the log, undecodable bytes replaced
    products: Mapping[str, tuple[int, str]] | None = None  # path -> (bytes, sha256), once ENDED


class Scheduler(Protocol):
    """Slurm, or a plain host. Every script is idempotent and safe to run again after a lost answer."""

    name: str

    def submit(self, job: Job) -> str:
        """Script that starts the job detached unless its gate, run folder or queue entry exists already."""
        ...

    def read_submit(self, exit_code: int, out: str, err: str) -> str:
        """The scheduler's own id for the job ("" where there is none). Raises Transient/NeedsPerson/Permanent."""
        ...

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> str:
        """One script that observes all these jobs. It may wait there, up to `wait_s`, for one of them to end."""
        ...

    def read_poll(self, tokens: Sequence[str], exit_code: int, out: str) -> Mapping[str, JobStatus]:
        """A status for every token asked for; UNKNOWN for each that the answer does not prove."""
        ...

    def needs(self) -> Sequence[tuple[str, str]]:
        """What the host must have: (shell test that must succeed there, what to do otherwise). For `mqi check`."""
        ...

    def cancel(self, tokens: Sequence[str]) -> str:
        """Script that bars the gate if it is free, else ends the job's whole session (TERM, then KILL) and waits
        until no member lives. Proof of the end is the following poll's (ENDED, LOST or BARRED)."""
        ...
