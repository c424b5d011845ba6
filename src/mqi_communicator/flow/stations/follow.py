"""follow: watch one job until it has ended by evidence, and ask the engine whether it ended well."""

from __future__ import annotations

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, NewRun, Outcome, Wait
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.dose.engine import Refused
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs, lines

UNKNOWN_PATIENCE_S = 900.0


async def follow(line: Line, tools: Tools) -> Outcome:
    """The job of `line.token` has ended well: exit code, end mark and products agree."""
    status = await tools.roundup.look(line.token)
    if status is None and await _holds_a_slot(line, tools):
        return Wait(tools.roundup.pause(), "submitted")
    if status is None:  # its slot was given back before the line went on: we were killed, or held, in between
        status = (await tools.roundup.ask(line.token))[line.token]
    await _remember(line, status, tools)
    match status.state:
        case JobState.ENDED:
            return await _ended(line, status, tools)
        case JobState.QUEUED:
            return Wait(tools.roundup.pause(), f"queued on {tools.host.name}")
        case JobState.RUNNING:
            return Wait(tools.roundup.pause(), _how_far(status, tools))
        case JobState.UNKNOWN:
            return _unknown(line, status, tools)
        case _:
            return await _over(line, NewRun(f"its job is {status.state} ({status.raw})", _facts(status)), tools)


async def _holds_a_slot(line: Line, tools: Tools) -> bool:
    row = await tools.database.read(jobs.get, line.token)
    return row is not None and row.active


def _how_far(status: JobStatus, tools: Tools) -> str:
    percent = tools.engine.progress(status.log_tail).percent
    return "computing" if percent is None else f"computing, {percent:.0f} %"


def _unknown(line: Line, status: JobStatus, tools: Tools) -> Wait:
    age = tools.clock() - line.since
    why = f"{tools.host.name} does not say what became of the job ({status.raw or 'no word'})"
    return Wait(max(tools.roundup.pause(), 10.0), why, needs_person=age > UNKNOWN_PATIENCE_S)


async def _remember(line: Line, status: JobStatus, tools: Tools) -> None:
    if status.state is JobState.UNKNOWN:
        return
    seen = tools.engine.progress(status.log_tail)
    values: dict[str, object] = {"state": status.state.value, "raw": status.raw}
    if seen.percent is not None:
        values |= {"percent": seen.percent, "uncertainty": seen.uncertainty}
    for name in ("started", "ended", "exit_code", "products"):
        if (value := getattr(status, name)) is not None:
            values[name] = dict(value) if name == "products" else value
    await tools.database.write(jobs.change, line.token, **values)


async def _ended(line: Line, status: JobStatus, tools: Tools) -> Outcome:
    products = status.products or {}
    sizes = {path: size for path, (size, _digest) in products.items()}
    code = -1 if status.exit_code is None else status.exit_code
    judged = tools.engine.judge_run(code, status.log_tail, sizes)
    if not isinstance(judged, Refused):
        return await _over(line, Done(_facts(status) | dict(judged.facts)), tools)
    if judged.retryable:
        return await _over(line, NewRun(judged.why, _facts(status)), tools)
    await _free_slot(line, tools)
    raise Permanent(judged.why, judged.advice)


async def _over(line: Line, outcome: Outcome, tools: Tools) -> Outcome:
    await _free_slot(line, tools)
    return outcome


async def _free_slot(line: Line, tools: Tools) -> None:
    """The place is free: whoever waits for one looks now, not at the next tick."""
    await tools.database.write(jobs.change, line.token, active=False)
    await tools.database.write(lines.poke_step, "submit", tools.clock())


def _facts(status: JobStatus) -> dict[str, object]:
    return {"exit_code": status.exit_code, "job_started": status.started, "job_ended": status.ended}
