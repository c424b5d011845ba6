"""Parse squeue and sacct, and conclude the status of each job from them and from what the job itself recorded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.observed import Observed
from mqi_communicator.compute.scheduler import Cause, JobState, JobStatus
from mqi_communicator.compute.slurm_states import OVER, QUEUED, RUNNING, pending, state_of

_REPLY = re.compile(r"^mqi-(queue|account) (\d{1,12}) (\d{1,3}) ?([\w+/=]*)$", re.MULTILINE | re.ASCII)
_NOW = re.compile(r"^mqi-now (\d{1,12})$", re.MULTILINE | re.ASCII)
LAG_S = 30.0  # assumed maximum delay of the accounting
BY_SIGNAL = (137, 143)


@dataclass(frozen=True, slots=True)
class Row:
    """One job as Slurm reports it."""

    id: str
    name: str
    state: str
    reason: str
    end: float | None  # epoch seconds; of a running job its time limit's
    nodes: str

    @property
    def raw(self) -> str:
        """Slurm's own terms, as one sentence."""
        return f"Slurm job {self.id}: {self.state}, {self.reason or 'no reason'}, on {self.nodes or 'no node'}"


@dataclass(frozen=True, slots=True)
class SchedulerReply:
    """What the scheduler reported. `queried_at`: when (the host's clock); `trouble`: why there is no report."""

    now: float = 0.0
    queried_at: float = 0.0
    rows: Sequence[Row] = field(default_factory=tuple)
    trouble: str = "Slurm was not queried"
    accounting: bool = False  # whether the accounting was queried and responded


def read_scheduler_reply(response: RemoteResponse, *, skew_s: float) -> SchedulerReply:
    """Parse the report of the queue, and of the accounting if it was queried. A report from the future is ignored."""
    now = _NOW.search(response.out)
    parts = {kind: (float(at), int(code), _text(text)) for kind, at, code, text in _REPLY.findall(response.out)}
    if response.exit_code != 0 or now is None or "queue" not in parts:
        return SchedulerReply(now=float(now[1]) if now else 0.0)
    at, code, text = parts["queue"]
    if at > float(now[1]) + skew_s:  # a clock was fast and was corrected: the report may be older than a job
        return SchedulerReply(now=float(now[1]))
    if code != 0:
        return SchedulerReply(
            now=float(now[1]), queried_at=at, trouble=_first_line(text) or f"squeue exited with {code}"
        )
    rows = [row for line in text.splitlines() if (row := _row(line))]
    _, account_code, account = parts.get("account", (0.0, 1, ""))
    known = {row.id for row in rows}
    if account_code == 0:
        rows += [row for line in account.splitlines() if (row := _row(line)) and row.id not in known]
    return SchedulerReply(float(now[1]), at, tuple(rows), "", accounting=account_code == 0)


def conclude(token: str, seen: Observed, reply: SchedulerReply, *, files_late_s: float, skew_s: float) -> JobStatus:
    """Conclude the status of one job: from its own record first, then from the scheduler; without either, UNKNOWN."""
    own = _own_row([row for row in reply.rows if row.name == token], seen)
    if seen.state is JobState.ENDED:
        return _ended(seen, own, reply, files_late_s)
    if seen.kind in ("barred", "foreign", "stray") or seen.ended != "none":
        return seen.status()
    if reply.trouble:
        return _no_evidence(seen, f"Slurm does not answer: {reply.trouble}")
    if own is None:
        return _not_listed(seen, reply)
    state = state_of(own.state)
    if state in RUNNING:
        return seen.status(JobState.RUNNING, own.raw)
    if state in QUEUED:
        return _in_queue(seen, own, reply, skew_s)
    if state in OVER:
        if seen.kind == "tried" and reply.queried_at <= seen.began_at + skew_s:  # of a refused job
            return seen.status(JobState.QUEUED, "submitted to Slurm")
        # A job that was refused or, as far as we know, never submitted, and ended without a start, may be resubmitted
        return seen.status() if seen.kind == "none" else _over(seen, own, reply, files_late_s)
    return seen.status(JobState.UNKNOWN, own.raw)


def _own_row(rows: Sequence[Row], seen: Observed) -> Row | None:
    """The row of the job that took the gate; if none did, of one that still may, else the last."""
    by_gate = [row for row in rows if row.id == seen.scheduler_id]
    alive = [row for row in rows if state_of(row.state) not in OVER]
    chosen = (by_gate if seen.kind == "job" else alive) or ([] if seen.kind == "job" else list(rows))
    return max(chosen, key=lambda row: int(row.id), default=None)


def _ended(seen: Observed, own: Row | None, reply: SchedulerReply, files_late_s: float) -> JobStatus:
    """Its own record. Only the scheduler knows who sent the signal that ended it: wait for its report, for a while."""
    status = seen.status()
    if status.exit_code not in BY_SIGNAL or status.ended is None:
        return status
    if own is not None and state_of(own.state) in OVER:
        return replace(status, raw=own.raw, cause=OVER[state_of(own.state)])
    if reply.now - status.ended < max(files_late_s, LAG_S):
        return seen.status(JobState.RUNNING, "ended by a signal; waiting for Slurm to report who sent it")
    return status


def _in_queue(seen: Observed, own: Row, reply: SchedulerReply, skew_s: float) -> JobStatus:
    if seen.kind == "job":
        if reply.queried_at <= seen.began_at + skew_s:  # queried before it started
            return seen.status(JobState.RUNNING, own.raw)
        # It ran and is in the queue again: it was requeued, and will find its gate taken.
        return seen.status(JobState.LOST, own.raw, Cause.REQUEUED)
    because, stuck = pending(own.reason)
    return seen.status(JobState.QUEUED, own.raw, queued_because=because, stuck=stuck)


def _over(seen: Observed, own: Row, reply: SchedulerReply, files_late_s: float) -> JobStatus:
    """Slurm reports the end, and there is no exit file: files may be late on a network file system."""
    if own.end is not None and reply.now - own.end < files_late_s:
        return seen.status(JobState.UNKNOWN, f"{own.raw}; its files may not be visible yet")
    return seen.status(JobState.LOST, own.raw, OVER[state_of(own.state)])


def _not_listed(seen: Observed, reply: SchedulerReply) -> JobStatus:
    """Neither queue nor accounting lists it."""
    if seen.kind == "none":
        return seen.status()
    if reply.queried_at <= seen.began_at + LAG_S:  # submitted or started after Slurm was queried
        return seen.status(JobState.RUNNING if seen.kind == "job" else JobState.QUEUED, "submitted to Slurm")
    if seen.kind == "tried" and reply.accounting and reply.queried_at > seen.began_at + 10 * LAG_S:
        return seen.status(JobState.ABSENT, "Slurm never received it")
    return _no_evidence(seen, "Slurm does not list it")


def _no_evidence(seen: Observed, why: str) -> JobStatus:
    if seen.kind == "none":
        return seen.status()
    return seen.status(JobState.UNKNOWN, why)


def _row(line: str) -> Row | None:
    """One line: id|name|state|reason|end|nodes."""
    words = line.split("|")
    if len(words) != 6 or not re.fullmatch(r"\d{1,18}", words[0], re.ASCII):  # noqa: PLR2004 - the fields of the query
        return None
    end = float(words[4]) if re.fullmatch(r"\d{1,12}", words[4], re.ASCII) else None
    return Row(words[0], words[1], words[2], "" if words[3] == "None" else words[3], end, words[5])


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _first_line(text: str) -> str:
    return next((line.strip()[:160] for line in text.splitlines() if line.strip()), "")
