"""reconstruct: make the case that computes the dose of a fraction from its records, once the plan has its dose."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.flow.fraction_sources import sources_of
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.tasks import reconstruct_case
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import TIDY
from mqi_communicator.store import cases, work_items

RECHECK_S = 300.0  # the end of a plan's case makes it due sooner


async def reconstruct(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `case/` holds the recorded spots, what was admitted with the plan, and the dose of the plan."""
    case, spool = await tools.database.read(cases.get, item.case), tools.spool(item.case)
    await asyncio.to_thread(write_origin, spool.origin, case)  # before it waits: a restored store begins it again
    family = await tools.database.read(work_items.of_case, case.parent)
    own, beams = family[0], family[1:]
    if own.step != TIDY:
        if own.status in (Status.FAILED, Status.CANCELLED):
            raise Permanent(
                f"the plan of case {case.parent} has no dose: the case is {own.status}",
                f"mqi retry {case.parent}, then mqi retry this case",
            )
        return Wait(RECHECK_S, f"waits for the dose of the plan (case {case.parent})", parked=True)
    sources = await tools.database.read(sources_of, case, tools.spool, tools.calibrations)
    tokens = {beam.beam: beam.token for beam in beams if beam.beam != CASE_ITEM}
    facts = await tools.workers.run(
        reconstruct_case, spool, case.fraction, sources, tokens, tools.engine.name, tools.basis
    )
    return Done(facts)
