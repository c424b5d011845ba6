"""join: find the plan that a delivery is of, among the admitted ones, and pass the delivery to its fractions.

Records name their plan. Logs do not: the plan is the only one of this patient and study that they do not contradict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.flow.spool.judged import judged_deliveries
from mqi_communicator.flow.tasks import join_delivery, named_plans
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.fractions import judge_again, judge_fraction
from mqi_communicator.store import cases
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import (
    fractions_of,
    identity_from,
    labels_text,
    plans_of_lineage,
    plans_of_patient,
)

WAIT_S = 3600.0  # the admission of a plan ends the wait
_ONE_PLAN = "Put the deliveries of each plan, and of each patient, into a folder of their own."


async def join(item: WorkItem, tools: Tools) -> Outcome:
    """The delivery has a plan, and each of its fractions is a case that will be judged with it."""
    named = await tools.workers.run(named_plans, tools.spool(item.case))
    if len(named.lineages) > 1 or len(named.patients) > 1:
        what = "patients" if len(named.patients) > 1 else "plans"
        tools.emit("delivery.refused", case=item.case, code="delivery.several")
        raise Permanent(f"the folder has deliveries of several {what}", _ONE_PLAN)
    patient = next(iter(named.patients), "")
    if named.lineages:
        plans = await tools.database.read(plans_of_lineage, named.lineages[0])
    else:
        plans = await tools.database.read(plans_of_patient, patient)
    spools = {plan.key: tools.spool(plan.key) for plan in plans}
    found = await tools.workers.run(join_delivery, tools.spool(item.case), spools, tools.calibrations)
    if len(found.fits) == 1:
        parent = next(plan for plan in plans if plan.key == found.fits[0])
        new = await _not_judged_with(item.case, parent, tools)
        await tools.database.write(_record_join, item.case, parent, found.labels, new, tools.clock())
        tools.emit("delivery.joined", case=item.case, parent=parent.key, fractions=list(found.labels))
        return Done({"parent": parent.key, "fractions": list(found.labels)})
    if not found.fits and not found.tried:
        await tools.database.write(cases.change, item.case, patient_id=patient)
        return Wait(WAIT_S, _waits(named.lineages, plans), parked=True)
    keys = found.fits or found.tried
    parents = [plan for plan in plans if plan.key in keys]
    await tools.database.write(_record_refusal, item.case, parents, found.labels, patient, tools.clock())
    if found.fits or len(keys) > 1:
        raise _undecided(found.fits, keys)
    assert found.refused is not None  # noqa: S101 - it was tried, and does not fit
    tools.emit("delivery.refused", case=item.case, parent=keys[0], code=found.refused.code)
    raise found.refused


def _waits(lineages: Sequence[str], plans: Sequence[Case]) -> str:
    if lineages:
        return "waits for its plan, which is not admitted"
    return f"waits for its plan: none of the {len(plans)} admitted plans of this patient is of the study of the logs"


def _undecided(fits: Sequence[str], keys: Sequence[str]) -> ActionRequired:
    cases_named = " and ".join(keys)
    if fits:
        reason = f"the logs fit the plans of cases {cases_named}, and only one can have been delivered"
        return ActionRequired(reason, "cancel the case of the plan that was not delivered, or mqi cancel this one")
    reason = f"the logs contradict the plans of cases {cases_named}"
    return ActionRequired(reason, "add the plan that was delivered, or mqi cancel this case; mqi delivery names why")


async def _not_judged_with(delivery: str, parent: Case, tools: Tools) -> frozenset[str]:
    """The keys of the fractions of this plan that were not judged with this delivery yet."""
    known = await tools.database.read(fractions_of, parent.key)
    found = [case.key for case in known]
    used = [await asyncio.to_thread(judged_deliveries, tools.spool(key)) for key in found]
    return frozenset(key for key, deliveries in zip(found, used, strict=True) if delivery not in deliveries)


def _record_join(
    connection: Connection, key: str, parent: Case, labels: Sequence[str], new: frozenset[str], now: float
) -> None:
    why = f"joined to case {parent.key}: {', '.join(labels)}"
    fraction = labels_text(tuple(labels))
    cases.change(connection, key, parent=parent.key, fraction=fraction, why=why, **identity_from(parent))
    for label in labels:
        judge_fraction(connection, parent, label, new, now)


def _record_refusal(
    connection: Connection, key: str, parents: Sequence[Case], labels: Sequence[str], patient: str, now: float
) -> None:
    """The fractions that the delivery may be of do not pass any more."""
    parent = parents[0].key if len(parents) == 1 else ""
    before = cases.get(connection, key)
    after = (parent, labels_text(tuple(labels)), patient)
    if (before.parent, before.fraction, before.patient_id) == after:
        return  # it was refused before
    cases.change(connection, key, parent=parent, fraction=after[1], patient_id=patient)
    for case in parents:
        judge_again(connection, case.key, labels, now)
