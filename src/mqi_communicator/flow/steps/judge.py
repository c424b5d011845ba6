"""judge: compare what was recorded of a fraction with the plan, from all deliveries that are joined to it."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.fraction_sources import sources_of
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.tasks import judge_delivered
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.fraction_doses import drop_dose, want_dose
from mqi_communicator.store import cases, figures, signatures
from mqi_communicator.store.cases import Case


async def judge(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the verdict on the fraction."""
    case = await tools.database.read(cases.get, item.case)
    sources = await tools.database.read(sources_of, case, tools.spool, tools.calibrations)
    spool = tools.spool(item.case)
    await asyncio.to_thread(write_origin, spool.origin, case)
    word, why, digests, found, incomplete = await tools.workers.run(
        judge_delivered, spool, case.fraction, sources, tools.judgement, tools.clock()
    )
    await tools.database.write(figures.save, item.case, found)
    dose = await _dose(case, incomplete, tools)
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
            **dose,
        }
    )


async def _dose(case: Case, incomplete: str, tools: Tools) -> dict[str, str]:
    """Have the dose of the fraction computed, if the site wants it; facts about it."""
    if not tools.judgement.for_machine(case.machine).delivery.compute_dose:
        return {}
    if incomplete:
        await tools.database.write(drop_dose, case, tools.clock())
        return {"dose": f"not computed: {incomplete}"}
    return {"dose": await tools.database.write(want_dose, case, tools.clock(), tools.resources.ageing_s)}
