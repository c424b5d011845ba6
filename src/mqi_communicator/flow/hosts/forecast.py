"""The expected delivery times of all cases under way, from the queue of each host in the store."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem
from mqi_communicator.flow.hosts.eta import Queued, ready_in
from mqi_communicator.store import cases, hosts, jobs, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.jobs import JobRow

MEASURED = 3  # jobs measured before there is a forecast
AFTER = ("collect", "verify")


def forecast(connection: Connection, now: float) -> dict[str, float]:
    """When each case on a host is likely to be delivered (epoch seconds).

    There is no forecast for a host that has not finished a few jobs yet.
    """
    found: dict[str, float] = {}
    live = [case for case in cases.unfinished(connection) if case.host]
    families = work_items.of_cases(connection, [case.key for case in live])
    tail_s = work_items.usual_duration(connection, ("compare", "report", "deliver"))
    states = hosts.load(connection)
    for host in {case.host for case in live}:
        measured = jobs.durations(connection, host)
        if len(measured) < MEASURED or tail_s is None:
            continue
        mine = [case for case in live if case.host == host]
        held = {job.token: job for job in jobs.active(connection, host)}
        queue = [_queued(case, families[case.key], held, median(measured), now) for case in mine]
        width = _width(states[host][1]) if host in states else 1
        ready = ready_in(queue, width=width, job_s=median(measured), tail_s=tail_s)
        found |= {key: now + seconds for key, seconds in ready.items()}
    return found


def _width(state: dict[str, object]) -> int:
    gpus, slots = state.get("gpus"), state.get("slots", 1)
    most = int(slots) if isinstance(slots, int) else 1
    return min(most, len(gpus)) if isinstance(gpus, list) and gpus else most


def _queued(case: Case, family: Sequence[WorkItem], held: dict[str, JobRow], job_s: float, now: float) -> Queued:
    running, waiting = [], 0
    for item in family:
        if item.beam == CASE_ITEM or item.status.ended or item.status is Status.HELD or item.step in AFTER:
            continue
        job = held.get(item.token)
        if job is not None and job.started is not None:
            running.append(_left(job, job_s, now))
        else:
            waiting += 1
    return Queued(case.key, tuple(running), waiting)


def _left(job: JobRow, job_s: float, now: float) -> float:
    """Remaining seconds of a running job: from its percentage where that is meaningful, else from earlier jobs."""
    passed = max(0.0, now - (job.started or now))
    if job.percent is not None and job.percent > 5:  # noqa: PLR2004 - below, start-up dominates
        return passed * (100.0 - job.percent) / job.percent
    return max(0.0, job_s - passed)
