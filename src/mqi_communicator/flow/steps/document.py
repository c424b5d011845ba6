"""document: render the report on a fraction, as `report` does for a plan."""

from __future__ import annotations

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow.steps.deliver import record_of
from mqi_communicator.flow.steps.report import drawn, not_wanted
from mqi_communicator.flow.tasks import prepare_fraction_report
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases
from mqi_communicator.store.deliveries import deliveries_of


async def document(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the report, or the event says why not. No fault of it withholds a verdict."""
    if not tools.report.draw:
        return not_wanted()
    case = await tools.database.read(cases.get, item.case)
    parent = await tools.database.read(cases.get, case.parent)
    joined, _ = await tools.database.read(deliveries_of, parent, case.fraction)
    deliveries = tuple(tools.spool(one.key) for one in joined)
    sources = FractionSources(tools.spool(case.parent), deliveries, tools.calibrations)
    made, spool = await record_of(item, tools), tools.spool(item.case)
    work = tools.workers.run(prepare_fraction_report, spool, made, sources, tools.judgement, tools.report)
    return await drawn(item, tools, work)
