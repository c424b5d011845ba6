"""follow: wait until one job has provably ended, and let the engine judge whether it succeeded."""

from __future__ import annotations

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, NewRun, Outcome, Wait
from mqi_communicator.compute.scheduler import Cause, JobState, JobStatus
from mqi_communicator.dose.engine import BeamJob, JobRequest, Refused
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.same_job import require_same_job
from mqi_communicator.flow.steps.spent import run_after_spent
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs

UNKNOWN_PATIENCE_S = 900.0
INPUT_CHANGED = 65  # exit code of such a job
FATAL_CAUSES = {
    Cause.TIME_LIMIT: ("the scheduler ended the job at its time limit", "raise slurm.time_s, or lower the histories"),
    Cause.MEMORY: ("the job needed more memory than it was given", "raise slurm.memory_mib"),
    Cause.CANCELLED: ("the job was cancelled on the host", "ask on the host why; mqi retry starts another run"),
}


async def follow(item: WorkItem, tools: Tools) -> Outcome:
    """The job of `item.token` has succeeded: exit code, end mark and products agree."""
    host = await tools.host_of(item.case)
    status = await host.poller.status(item.token)
    if status is None and await _holds_a_slot(item, tools):
        return Wait(host.poller.next_poll_s(), "submitted")
    if status is None:  # its slot was released before the item moved on: the process was killed, or the case held
        status = (await host.poller.poll(item.token))[item.token]
    await _save_status(item, status, tools)
    unknown_s = host.poller.unknown_s(item.token, status.state)
    match status.state:
        case JobState.ENDED:
            return await _ended(item, status, tools, host)
        case JobState.QUEUED:
            return _queued(status, host)
        case JobState.RUNNING:
            return Wait(host.poller.next_poll_s(), _progress(item, status, tools))
        case JobState.UNKNOWN | JobState.ABSENT:  # a started job without a trace proves nothing
            if later := await run_after_spent(item, tools):  # we removed it after it had ended
                return later
            return _unknown(item, status, host, unknown_s)
        case _:
            return await _lost(item, status, tools, host)


async def _lost(item: WorkItem, status: JobStatus, tools: Tools, host: ComputeHost) -> Outcome:
    """Whether another run may help depends on what ended this one."""
    why = f"its job is {status.state} ({status.raw})"
    if status.cause in FATAL_CAUSES:
        await _free_slot(item, tools, host)
        reason, advice = FATAL_CAUSES[status.cause]
        raise Permanent(f"{reason} ({status.raw})", advice)
    return await _finish(item, NewRun(why, _facts(status)), tools, host)


def _queued(status: JobStatus, host: ComputeHost) -> Wait:
    """In the scheduler's queue, with its reason; a reason that will never change requires action."""
    why = f"queued on {host.name}" + (f": {status.queued_because}" if status.queued_because else "")
    return Wait(host.poller.next_poll_s(), why, needs_person=status.stuck)


async def _holds_a_slot(item: WorkItem, tools: Tools) -> bool:
    row = await tools.database.read(jobs.get, item.token)
    return row is not None and row.active


def _job(item: WorkItem, tools: Tools) -> BeamJob:
    return tools.engine.job(JobRequest(item.beam))


def _progress(item: WorkItem, status: JobStatus, tools: Tools) -> str:
    percent = _job(item, tools).progress(status.log_tail).percent
    return "computing" if percent is None else f"computing, {percent:.0f} %"


def _unknown(item: WorkItem, status: JobStatus, host: ComputeHost, unknown_s: float) -> Wait:
    needs_person = unknown_s > UNKNOWN_PATIENCE_S
    why = f"{host.name} cannot report whether the job has ended ({status.raw or 'no report'})"
    if needs_person:
        why += f"; if you have checked that it is dead: mqi lost {item.case} {item.beam}"
    return Wait(max(host.poller.next_poll_s(), 10.0), why, needs_person=needs_person)


async def _save_status(item: WorkItem, status: JobStatus, tools: Tools) -> None:
    if status.state in (JobState.UNKNOWN, JobState.ABSENT):
        return
    seen = _job(item, tools).progress(status.log_tail)
    values: dict[str, object] = {"state": status.state.value, "raw": status.raw}
    if seen.percent is not None:
        values |= {"percent": seen.percent, "uncertainty": seen.uncertainty}
    for name in ("started", "ended", "exit_code", "products"):
        if (value := getattr(status, name)) is not None:
            values[name] = dict(value) if name == "products" else value
    await tools.database.write(jobs.change, item.token, **values)


async def _ended(item: WorkItem, status: JobStatus, tools: Tools, host: ComputeHost) -> Outcome:
    products = status.products or {}
    sizes = {path: size for path, (size, _digest) in products.items()}
    code = -1 if status.exit_code is None else status.exit_code
    if status.cause in FATAL_CAUSES:
        return await _lost(item, status, tools, host)
    try:
        await require_same_job(item.case, tools)
    except ActionRequired:
        await _free_slot(item, tools, host)  # it has ended; it is judged once the configuration is restored
        raise
    judged = _input_changed(code) or _job(item, tools).judge(code, status.log_tail, sizes)
    if not isinstance(judged, Refused):
        return await _finish(item, Done(_facts(status) | dict(judged.facts)), tools, host)
    if judged.retryable:
        return await _finish(item, NewRun(judged.why, _facts(status)), tools, host)
    await _free_slot(item, tools, host)
    raise Permanent(judged.why, judged.advice)


def _input_changed(code: int) -> Refused | None:
    if code != INPUT_CHANGED:
        return None
    why = "the input on the host differs from what was uploaded"
    return Refused(
        why, retryable=False, advice="cancel the case and copy its folder in again; a disk of the host may be failing"
    )


async def _finish(item: WorkItem, outcome: Outcome, tools: Tools, host: ComputeHost) -> Outcome:
    await _free_slot(item, tools, host)
    return outcome


async def _free_slot(item: WorkItem, tools: Tools, host: ComputeHost) -> None:
    """Release the job slot: the first beams that wait for one are due at once."""
    await tools.database.write(jobs.change, item.token, active=False)
    await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock())
    host.poller.forget(item.token)


def _facts(status: JobStatus) -> dict[str, object]:
    return {"exit_code": status.exit_code, "job_started": status.started, "job_ended": status.ended}
