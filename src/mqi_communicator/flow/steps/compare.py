"""compare: compare the dose of all beams together with the planned dose, and judge it."""

from __future__ import annotations

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import CaseKind, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.flow.steps.extension import declared
from mqi_communicator.flow.tasks import judge_with_figures
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, figures, signatures, work_items

RECHECK_S = 300.0  # the end of a beam makes its case due sooner


async def compare(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `results/` holds the computed doses as RTDOSE and the verdict; every beam's dose is in it."""
    beams = (await tools.database.read(work_items.of_case, item.case))[1:]
    running = [beam for beam in beams if not beam.status.ended]
    if running:
        return Wait(RECHECK_S, f"{len(beams) - len(running)} of {len(beams)} beams are computed", parked=True)
    if lost := [beam for beam in beams if beam.status is not Status.DONE]:
        reasons = "; ".join(f"beam {beam.beam} {beam.status}: {beam.reason}" for beam in lost)
        raise Permanent(reasons, "mqi retry computes the beams again that have no dose")
    case = await tools.database.read(cases.get, item.case)
    tokens = {beam.beam: beam.token for beam in beams}
    word, why, digests, found = await tools.workers.run(
        judge_with_figures,
        tools.spool(item.case),
        tokens,
        tools.preparer,
        tools.judgement,
        tools.conventions,
        tools.basis,
        await declared(item.case, tools),
        case.constancy,
        now=tools.clock(),
    )
    if case.kind == CaseKind.PLAN:  # trends are of plans
        await tools.database.write(figures.save, item.case, found)
    await tools.database.write(signatures.withdraw, item.case)  # before the verdict: it is not the one that was signed
    await tools.database.write(cases.change, item.case, word=word, why=why)
    sample = {"constancy": case.constancy} if case.constancy else {}
    return Done({"word": word, "cause": why, "outputs": digests, **sample})
