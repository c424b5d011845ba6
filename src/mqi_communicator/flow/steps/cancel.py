"""Cancel a case or a beam by order: its job provably ends, and its files on the host are removed."""

from __future__ import annotations

from mqi_communicator.case.model import CASE_ITEM, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.flow.steps.tidy import tidy_host
from mqi_communicator.flow.tools import Tools
from mqi_communicator.remote import workspace
from mqi_communicator.store import cases, jobs, work_items

CALL_S = 60.0
KILL_S = 360.0  # more than the longest grace (direct.kill_grace_s)
OVER = (JobState.ENDED, JobState.LOST, JobState.BARRED)


async def cancel(item: WorkItem, tools: Tools) -> Outcome:
    """No process of this item is running on the host, and none can start; for a case, the same holds for its beams."""
    return await (_cancel_case(item, tools) if item.beam == CASE_ITEM else _cancel_beam(item, tools))


async def _cancel_beam(item: WorkItem, tools: Tools) -> Outcome:
    row = await tools.database.read(jobs.get, item.token)
    if row is None or _is_over(row):
        return Done()
    host = await tools.host_of(item.case)
    host.scheduler.read_cancel(await host.guarded.request(host.scheduler.cancel([item.token]), deadline=KILL_S))
    status = (await host.poller.poll(item.token))[item.token]
    if status.state not in OVER:
        return Wait(2.0, f"being cancelled: the job is still {status.state} on {host.name}")
    await tools.database.write(jobs.change, item.token, state=status.state.value, active=False)
    await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock())
    return Done({"job": status.state.value})


def _is_over(row: jobs.JobRow) -> bool:
    """Whether it has provably ended, or was never submitted."""
    return not row.active and (row.state in OVER or row.state == jobs.WANTED)


async def _cancel_case(item: WorkItem, tools: Tools) -> Outcome:
    family = await tools.database.read(work_items.of_case, item.case)
    if any(not beam.status.ended for beam in family[1:]):
        return Wait(60.0, "being cancelled: waiting for its beams", parked=True)
    if not (tools.spool(item.case).host() or (await tools.database.read(cases.get, item.case)).host):
        return Done()
    if wait := await _cancel_remaining_jobs(item, tools):
        return wait
    await tidy_host(item.case, tools)
    return Done()


async def _cancel_remaining_jobs(item: WorkItem, tools: Tools) -> Wait | None:
    """Cancel jobs that are not followed and may still be running: of beams that failed before their job provably ended,
    and jobs that the host knows and a restored store does not."""
    host = await tools.host_of(item.case)
    rows = {row.token: row for row in await tools.database.read(jobs.of_case, item.case)}
    on_host = workspace.read_runs(await host.guarded.request(workspace.runs(host.root, item.case), deadline=CALL_S))
    tokens = [token for token, row in rows.items() if not _is_over(row)]
    tokens += [token for token in on_host if token not in rows]
    if not tokens:
        return None
    host.scheduler.read_cancel(await host.guarded.request(host.scheduler.cancel(tokens), deadline=KILL_S))
    seen = await host.poller.poll(*tokens)
    for token in tokens:
        if seen[token].state not in OVER:
            return Wait(2.0, f"being cancelled: a job is still {seen[token].state} on {host.name}")
        await tools.database.write(jobs.change, token, state=seen[token].state.value, active=False)
    await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock())
    return None
