"""judge: compare what was recorded of a fraction with the plan, from all deliveries that are joined to it."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.fraction_sources import sources_of
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.tasks import judge_delivered
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, figures, signatures


async def judge(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the verdict on the fraction."""
    case = await tools.database.read(cases.get, item.case)
    sources = await tools.database.read(sources_of, case, tools.spool, tools.calibrations)
    spool = tools.spool(item.case)
    await asyncio.to_thread(write_origin, spool.origin, case)
    word, why, digests, found = await tools.workers.run(
        judge_delivered, spool, case.fraction, sources, tools.judgement, tools.clock()
    )
    await tools.database.write(figures.save, item.case, found)
    await tools.database.write(signatures.withdraw, item.case)
    await tools.database.write(cases.change, item.case, word=word, why=why)
    tools.emit("delivery.judged", case=item.case, parent=case.parent, word=word, deliveries=len(sources.deliveries))
    return Done(
        {
            "word": word,
            "cause": why,
            "outputs": digests,
            "deliveries": len(sources.deliveries),
            "refused": sources.refused,
        }
    )
