"""document: render the report on a fraction, as `report` does for a plan."""

from __future__ import annotations

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow.fraction_sources import sources_of
from mqi_communicator.flow.steps.deliver import record_of
from mqi_communicator.flow.steps.report import drawn, not_wanted
from mqi_communicator.flow.tasks import prepare_fraction_report
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases


async def document(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the report, or the event says why not. No fault of it withholds a verdict."""
    if not tools.report.draw:
        return not_wanted()
    case = await tools.database.read(cases.get, item.case)
    sources = await tools.database.read(sources_of, case, tools.spool, tools.calibrations)
    made, spool = await record_of(item, tools), tools.spool(item.case)
    work = tools.workers.run(prepare_fraction_report, spool, made, sources, tools.judgement, tools.report)
    return await drawn(item, tools, work)
