"""The cases that compute the dose of a fraction: one for each set of deliveries that the fraction was judged with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Priority, Status, WorkItem, new_key, rank_of
from mqi_communicator.flow.transitions.supersede import supersede
from mqi_communicator.store import cases, signatures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import deliveries_of, doses_of

RECONSTRUCT = "reconstruct"
DOSE_BEGUN = "dose.begun"


def want_dose(connection: Connection, fraction: Case, now: float, ageing_s: float) -> str:
    """Have the dose of a fraction computed, unless it was begun with the same deliveries and not cancelled; returns the
    case's key.

    It supersedes the dose of other deliveries. Its priority is that of background work: a new plan comes first.
    """
    parent = cases.get(connection, fraction.parent)
    joined, _ = deliveries_of(connection, parent, fraction.fraction)
    content = hashlib.sha256("\n".join(sorted(one.content for one in joined)).encode()).hexdigest()
    known = [one for one in doses_of(connection, parent.key, fraction.fraction) if not one.superseded_by]
    for one in known:
        if one.content == content and work_items.get(connection, one.key).status is not Status.CANCELLED:
            return one.key
    case = Case(
        key=new_key(),
        source=Path(f"dose of {fraction.fraction}"),
        seen=now,
        fingerprint="",
        changed=now,
        priority=Priority.BACKGROUND,
        rank=rank_of(Priority.BACKGROUND, now, ageing_s),
        content=content,
        revision=1 + max((one.revision for one in known), default=0),
        kind=CaseKind.DOSE,
        parent=parent.key,
        fraction=fraction.fraction,
        patient_id=parent.patient_id,
        plan_label=parent.plan_label,
        machine=parent.machine,
    )
    item = WorkItem(case.key, CASE_ITEM, RECONSTRUCT, due=now, since=now)
    facts: dict[str, object] = {"parent": parent.key, "fraction": fraction.fraction}
    cases.add(connection, case)
    work_items.add(
        connection, item, Event(now, case.key, CASE_ITEM, DOSE_BEGUN, RECONSTRUCT, "", item.status, facts=facts)
    )
    for one in known:
        _supersede(connection, one, case.key, now)
    return case.key


def drop_dose(connection: Connection, fraction: Case, now: float) -> None:
    """Supersede the dose of a fraction whose records are not complete any more, or contradict one another."""
    for one in doses_of(connection, fraction.parent, fraction.fraction):
        if not one.superseded_by:
            _supersede(connection, one, fraction.key, now)


def supersede_older(connection: Connection, dose: Case, now: float) -> None:
    """Supersede the doses of the same fraction that were begun before this one; nothing for a case of another kind."""
    for one in doses_of(connection, dose.parent, dose.fraction) if dose.kind == CaseKind.DOSE else ():
        if one.key != dose.key and not one.superseded_by and one.seen <= dose.seen:
            _supersede(connection, one, dose.key, now)


def _supersede(connection: Connection, old: Case, by: str, now: float) -> None:
    supersede(connection, old, by, f"the fraction was judged again ({by})", now)
    signatures.withdraw(connection, old.key)
