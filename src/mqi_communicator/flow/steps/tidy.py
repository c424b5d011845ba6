"""tidy: remove the files of a finished case from the host and the spool; delivered results stay."""

from __future__ import annotations

import asyncio
import shutil

from mqi_communicator.case.model import WITH_DOSE, WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.spent import note_spent
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.fraction_doses import RECONSTRUCT
from mqi_communicator.remote import workspace
from mqi_communicator.store import cases, jobs, work_items

REMOVE_S = 120.0


async def tidy(item: WorkItem, tools: Tools) -> Outcome:
    """Nothing of the case is left on the host; the spool keeps the admitted files and the doses."""
    if (await tools.database.read(cases.get, item.case)).kind not in WITH_DOSE:
        return Done()  # nothing of it was sent anywhere
    await tools.database.write(work_items.wake_step, RECONSTRUCT, tools.clock())  # doses of fractions of this plan
    await tidy_host(item.case, tools)
    spool = tools.spool(item.case)
    for folder in (spool.input, spool.root / "back", spool.prepared):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return Done()


async def tidy_host(case: str, tools: Tools) -> None:
    """Remove the case's folders below our workspace on its host, never through a link."""
    await remove_from(await tools.host_of(case), case, tools)


async def remove_from(host: ComputeHost, case: str, tools: Tools) -> None:
    """Remove a case from one host. This removes its gates too, so its runs are recorded as spent first.

    A case without a spool cannot be computed again and needs no record.
    """
    spool = tools.spool(case)
    if await asyncio.to_thread(spool.root.is_dir):
        on_host = workspace.read_runs(await host.guarded.request(workspace.runs(host.root, case), deadline=REMOVE_S))
        known = [job.token for job in await tools.database.read(jobs.of_case, case) if job.state != jobs.WANTED]
        await asyncio.to_thread(note_spent, spool, (*on_host, *known))
    workspace.read_removed(await host.guarded.request(workspace.remove(host.root, case), deadline=REMOVE_S))
