"""submit: one job of one beam is handed to the scheduler, once."""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.case.faults import Fault, Transient
from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.compute.scheduler import Job, JobState
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs, lines

START_S = 60.0
BEFORE_THE_BEAMS = ("admit", "prepare", "upload")
ENDED = (JobState.ENDED, JobState.LOST, JobState.BARRED)


async def submit(line: Line, tools: Tools) -> Outcome:
    """The job of `line.token` is known to the scheduler and holds one of the host's slots.

    A later run begins only after every earlier one has ended by evidence, or can never begin any more.
    """
    own = await tools.database.read(lines.get, line.case)
    if own.step in BEFORE_THE_BEAMS:
        return Wait(60.0, "waiting for the case to be on the host again", parked=True)
    if line.run > 1 and (wait := await _earlier_run_lives(line, tools)):
        return wait
    claim = jobs.JobRow(
        token=line.token,
        case=line.case,
        beam=line.beam,
        run=line.run,
        host=tools.host.name,
        state=jobs.CLAIMED,
        active=True,
        claimed=tools.clock(),
    )
    taken = await tools.database.write(jobs.claim, claim, tools.resources.jobs)
    if taken:
        await tools.roundup.tend()
        why = f"waiting for a free place on {tools.host.name}: {taken} of {tools.resources.jobs} taken (resources.jobs)"
        return Wait(30.0, why)
    return await _start(line, tools)


async def _start(line: Line, tools: Tools) -> Outcome:
    job = Job(
        token=line.token,
        case=line.case,
        command=tools.engine.command(line.beam),
        products=tools.engine.products,
        limit=tools.engine.time_limit_s,
    )
    finished = await tools.host.run(tools.scheduler.submit(job), deadline=START_S)
    try:
        number = tools.scheduler.read_submit(finished.exit_code, finished.out, finished.err)
    except Transient:
        raise
    except Fault:
        await _give_back(line, tools)
        raise
    await tools.database.write(jobs.change, line.token, state=JobState.QUEUED.value, scheduler_id=number)
    return Done({"token": line.token})


async def _give_back(line: Line, tools: Tools) -> None:
    """The scheduler refused: the slot is free again if the job provably never began."""
    seen = await tools.roundup.ask(line.token)
    if seen[line.token].state is JobState.ABSENT:
        await tools.database.write(jobs.change, line.token, active=False)


async def _earlier_run_lives(line: Line, tools: Tools) -> Wait | None:
    for run in range(1, line.run):
        token = replace(line, run=run).token
        row = await tools.database.read(jobs.get, token)
        if row is None or (not row.active and row.state in ENDED):
            continue
        state = (await tools.roundup.ask(token))[token].state
        if state is JobState.ABSENT:
            await tools.host.run(tools.scheduler.cancel([token]), deadline=START_S)
            state = (await tools.roundup.ask(token))[token].state
        if state not in ENDED:
            return Wait(10.0, f"run {run} of this beam has not ended yet ({state}); no second one beside it")
        await tools.database.write(jobs.change, token, state=state.value, active=False)
    return None
