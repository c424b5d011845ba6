"""The cases of fractions: begun with the first delivery that is joined, and judged again with each further one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Status, WorkItem, new_key
from mqi_communicator.flow.transitions.judgements import REOPENED
from mqi_communicator.store import cases, signatures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import fractions_of

JUDGE = "judge"
BEGUN = "fraction.begun"
DELIVERY_CHANGED = "fraction.changed"  # another delivery of it was joined or refused, before it was judged


def judge_fraction(
    connection: Connection, parent: Case, label: str, not_judged_with: frozenset[str], now: float
) -> None:
    """Have a fraction of a plan judged, or judged again if its case is among those that a delivery is missing in."""
    for case in fractions_of(connection, parent.key):
        if case.fraction == label:
            if case.key in not_judged_with:
                _again(connection, case, now)
            return
    case = Case(
        key=new_key(),
        source=Path(label),
        seen=now,
        fingerprint="",
        changed=now,
        rank=now,
        kind=CaseKind.FRACTION,
        parent=parent.key,
        fraction=label,
        patient_id=parent.patient_id,
        plan_label=parent.plan_label,
        machine=parent.machine,
    )
    item = WorkItem(case.key, CASE_ITEM, JUDGE, due=now, since=now)
    cases.add(connection, case)
    facts: dict[str, object] = {"parent": parent.key, "fraction": label}
    work_items.add(connection, item, Event(now, case.key, CASE_ITEM, BEGUN, JUDGE, "", item.status, facts=facts))


def _name_at(step: str) -> str:
    return DELIVERY_CHANGED if step == JUDGE else REOPENED


def judge_again(connection: Connection, parent: str, labels: Sequence[str], now: float) -> None:
    """Have these fractions judged again, all of the plan if no label is known: a delivery of them was refused."""
    for case in fractions_of(connection, parent):
        if not labels or case.fraction in labels:
            _again(connection, case, now)


def _again(connection: Connection, case: Case, now: float) -> None:
    """Back to `judge`, under another run, so that the outcome of a step under way is discarded."""
    item = work_items.get(connection, case.key)
    if item.wanted or item.status is Status.CANCELLED:
        return
    status = Status.HELD if item.status is Status.HELD else Status.READY
    moved = replace(item, step=JUDGE, status=status, run=item.run + 1, tries=0, due=now, since=now)
    moved = replace(moved, reason=moved.reason if status is Status.HELD else "", advice="", needs_person=False)
    event = Event(now, item.case, item.beam, _name_at(item.step), item.step, item.status, f"{JUDGE}/{status}")
    work_items.move(connection, item, moved, event)
    signatures.withdraw(connection, case.key)
