"""report: render the document that a physicist signs. If that fails, the verdict is delivered without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.steps.deliver import record_of
from mqi_communicator.flow.tasks import prepare_report
from mqi_communicator.flow.tasks.report_files import digests_of_report, remove_report
from mqi_communicator.flow.tasks.viewer import viewer_digest
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.trend import placed

DRAWN, MISSING, NOT_WANTED = "drawn", "not drawn", "not wanted"


async def report(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the report, or the event says why not. No fault of it withholds a verdict."""
    if not tools.report.draw:
        return not_wanted()
    record = await record_of(item, tools)
    trend = await tools.database.read(placed, item.case)
    spool, limits = tools.spool(item.case), tools.judgement
    work = tools.workers.run(prepare_report, spool, record, limits, tools.conventions, tools.report, trend)
    done = await drawn(item, tools, work)
    if done.facts["report"] != DRAWN:
        return done
    return Done({**done.facts, "viewer": await asyncio.to_thread(viewer_digest, spool)})


def not_wanted() -> Done:
    """The outcome where reports are only drawn on request."""
    return Done({"report": NOT_WANTED, "report_why": "report.draw is false"})


async def drawn(item: WorkItem, tools: Tools, drawing: Awaitable[None]) -> Done:
    """The outcome of drawing a report within its time limit. What is left of one that failed is removed."""
    try:
        async with asyncio.timeout(tools.report.limit_s):
            await drawing
    except TimeoutError:
        why = f"it took longer than report.limit_s = {tools.report.limit_s:g} s"
    except Fault as fault:
        why = getattr(fault, "code", "") or fault.reason  # the text of a DICOM problem may quote a patient
    else:
        outputs = await asyncio.to_thread(digests_of_report, tools.spool(item.case))
        return Done({"report": DRAWN, "outputs": outputs})
    await asyncio.to_thread(remove_report, tools.spool(item.case))
    tools.emit("report.missing", case=item.case, why=why)
    return Done({"report": MISSING, "report_why": why})
