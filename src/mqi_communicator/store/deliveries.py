"""Deliveries and fractions of plans: which plan a delivery may be of, and which deliveries a fraction has."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Status
from mqi_communicator.store.cases import Case, as_case
from mqi_communicator.store.schema import cases, work_items

_PARTED = ", "  # between the labels of a delivery's fractions


def labels_text(labels: tuple[str, ...]) -> str:
    """Labels of fractions, as the column `fraction` has them."""
    return _PARTED.join(labels)


def labels_of(case: Case) -> tuple[str, ...]:
    """The labels of a delivery's fractions, or that of a fraction."""
    return tuple(case.fraction.split(_PARTED)) if case.fraction else ()


def identity_from(plan: Case) -> dict[str, str]:
    """What a delivery and a fraction show of the patient and the machine: columns of the case of their plan."""
    return {"patient_id": plan.patient_id, "plan_label": plan.plan_label, "machine": plan.machine}


def plans_of_lineage(connection: Connection, lineage: str) -> list[Case]:
    """The newest revision of the plan with this lineage, if it is admitted."""
    return _plans(connection, cases.c.lineage == lineage)


def plans_of_patient(connection: Connection, patient_id: str) -> list[Case]:
    """The newest revisions of all plans of a patient that are admitted, oldest first."""
    return _plans(connection, cases.c.patient_id == patient_id) if patient_id else []


def _plans(connection: Connection, which: ColumnElement[bool]) -> list[Case]:
    newest = (cases.c.same_as == "", cases.c.superseded_by == "", cases.c.constancy == "", cases.c.content != "")
    query = select(cases).where(which, *newest, cases.c.kind == CaseKind.PLAN).order_by(cases.c.seen)
    return [as_case(row) for row in connection.execute(query)]


def wake_waiting(connection: Connection, patient_id: str, now: float) -> None:
    """Make the deliveries due that wait for a plan of this patient, or name no patient."""
    mine = select(cases.c.key).where(cases.c.kind == CaseKind.DELIVERY, cases.c.patient_id.in_(("", patient_id)))
    here = (work_items.c.step == "join", work_items.c.status.in_((Status.READY, Status.WAITING)))
    connection.execute(update(work_items).where(*here, work_items.c.case.in_(mine)).values(due=now))


def fractions_of(connection: Connection, parent: str) -> list[Case]:
    """The fractions of a plan's case, oldest first."""
    query = select(cases).where(cases.c.parent == parent, cases.c.kind == CaseKind.FRACTION)
    return [as_case(row) for row in connection.execute(query.order_by(cases.c.seen, cases.c.key))]


def doses_of(connection: Connection, parent: str, label: str = "") -> list[Case]:
    """The cases that compute the dose of a fraction of a plan, of all fractions without a label; oldest first."""
    query = select(cases).where(cases.c.parent == parent, cases.c.kind == CaseKind.DOSE)
    found = [as_case(row) for row in connection.execute(query.order_by(cases.c.seen, cases.c.key))]
    return [one for one in found if label in ("", one.fraction)]


def deliveries_of(connection: Connection, parent: Case, label: str) -> tuple[list[Case], list[Case]]:
    """The deliveries of a fraction that are joined to the plan, and those that may be of it and are refused or
    undecided; each oldest first."""
    undecided = and_(cases.c.parent == "", cases.c.patient_id == parent.patient_id, cases.c.patient_id != "")
    query = (
        select(cases, work_items.c.status, work_items.c.needs_person)
        .join(work_items, and_(work_items.c.case == cases.c.key, work_items.c.beam == CASE_ITEM))
        .where(or_(cases.c.parent == parent.key, undecided))
        .where(cases.c.kind == CaseKind.DELIVERY, cases.c.same_as == "", work_items.c.step == "join")
        .order_by(cases.c.seen, cases.c.key)
    )
    found = [(as_case(row), row) for row in connection.execute(query)]
    joined = [case for case, row in found if row.status == Status.DONE and label in labels_of(case)]
    held = [case for case, row in found if row.status == Status.FAILED or row.needs_person]
    return joined, [case for case in held if not case.fraction or label in labels_of(case)]
