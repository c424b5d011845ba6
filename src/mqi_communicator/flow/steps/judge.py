"""judge: compare what was recorded of a fraction with the plan, from all deliveries that are joined to it."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.tasks import judge_delivered
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, figures, signatures
from mqi_communicator.store.deliveries import deliveries_of


async def judge(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the verdict on the fraction."""
    case = await tools.database.read(cases.get, item.case)
    parent = await tools.database.read(cases.get, case.parent)
    joined, refused = await tools.database.read(deliveries_of, parent, case.fraction)
    spool = tools.spool(item.case)
    await asyncio.to_thread(write_origin, spool.origin, case)
    word, why, digests, found = await tools.workers.run(
        judge_delivered,
        spool,
        case.fraction,
        tools.spool(case.parent),
        [tools.spool(one.key) for one in joined],
        len(refused),
        tools.judgement,
        tools.calibrations,
        tools.clock(),
    )
    await tools.database.write(figures.save, item.case, found)
    await tools.database.write(signatures.withdraw, item.case)
    await tools.database.write(cases.change, item.case, word=word, why=why)
    tools.emit("delivery.judged", case=item.case, parent=case.parent, word=word, deliveries=len(joined))
    return Done({"word": word, "cause": why, "outputs": digests, "deliveries": len(joined), "refused": len(refused)})
