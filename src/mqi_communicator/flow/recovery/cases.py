"""Recover cases and orders that a restored store has lost, from the spool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.flow.constancy_due import READMITTED
from mqi_communicator.flow.spool.decisions import orders_of
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.spool.origin import read_due, read_origin
from mqi_communicator.flow.steps.admit import register
from mqi_communicator.flow.steps.receive import register_delivery
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.flow.transitions.fraction_doses import supersede_older
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.store import cases, orders, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import identity_from
from mqi_communicator.store.orders import Order

SUFFIX = " (the store had lost this order)"


def orders_in_effect(spool: Path) -> dict[str, list[Order]]:
    """The orders in effect, by case key."""
    found = {folder.name: orders_of(Spool(folder)) for folder in (spool.iterdir() if spool.is_dir() else [])}
    return {key: given for key, given in found.items() if given}


def reapply_orders(connection: Connection, given: Sequence[Order], tools: Tools, now: float) -> list[str]:
    """Apply the orders for one case that the store has lost; returns their names."""
    again = [order for order in given if not orders.is_known(connection, order)]
    for order in again:
        why = f"{order.why.removesuffix(SUFFIX)}{SUFFIX}"
        number = orders.add(
            connection, at=order.at, case=order.case, order=order.order, who=order.who, why=why, detail=order.detail
        )
        spool = tools.spool(order.case)
        apply_order(connection, replace(order, id=number, why=why), spool, now, tools.resources.ageing_s)
    return [order.order for order in again]


def lost_cases(
    spool: Path, known: set[str], ordered: Mapping[str, Sequence[Order]]
) -> list[tuple[Case, Manifest | None]]:
    """Cases that the store does not know, by arrival: admitted ones, and, without manifest, those cancelled before and
    doses of fractions that wait for their plan."""
    found: list[tuple[Case, Manifest | None]] = []
    for folder in sorted(spool.iterdir()) if spool.is_dir() else []:
        case_spool = Spool(folder)
        admitted = case_spool.manifest.is_file()
        cancelled = any(order.order == "cancel" for order in ordered.get(folder.name, ()))
        if folder.name in known:
            continue
        case = read_origin(case_spool.origin, folder.name)
        if case is not None and (admitted or cancelled or case.kind == CaseKind.DOSE):
            found.append((case, load_manifest(case_spool.manifest) if admitted else None))
    return sorted(found, key=lambda pair: pair[0].seen)


_STEPS: dict[str, tuple[str, str]] = {  # the first one of a case, and the one after its files are in the spool
    CaseKind.PLAN: ("admit", "prepare"),
    CaseKind.DELIVERY: ("receive", "join"),
    CaseKind.FRACTION: ("judge", "judge"),
    CaseKind.DOSE: ("reconstruct", "prepare"),
}


def _register(connection: Connection, case: Case, manifest: Manifest, now: float) -> Done:
    match case.kind:
        case CaseKind.DELIVERY:
            return register_delivery(connection, case.key, case, manifest)
        case CaseKind.FRACTION | CaseKind.DOSE:
            return Done()
        case _:
            return register(connection, case.key, manifest, now)


def readmit(
    connection: Connection, case: Case, manifest: Manifest | None, given: Sequence[Order], tools: Tools, now: float
) -> list[str]:
    """Add the case and its work item again, and apply the orders in effect; returns the names of the orders."""
    cases.add(connection, case)
    if case.kind in (CaseKind.FRACTION, CaseKind.DOSE):
        supersede_older(connection, case, now)
        for parent in cases.get_many(connection, [case.parent]).values():
            cases.change(connection, case.key, **identity_from(parent))
    done = Done(last=True) if manifest is None else _register(connection, case, manifest, now)
    status = Status.DONE if done.last and manifest is not None else Status.READY
    first, second = _STEPS[case.kind]
    item = WorkItem(case.key, CASE_ITEM, first if done.last else second, status=status, due=now, since=now)
    why = "the store had lost the case; its files were in the spool"
    facts = {name: value for name, value in done.facts.items() if name != "bytes"}
    due = read_due(tools.spool(case.key).origin) if case.constancy else None
    facts |= {} if due is None else due.facts()
    event = Event(now, case.key, CASE_ITEM, READMITTED, item.step, "", status, "mqi", why, facts)
    work_items.add(connection, item, event)
    return reapply_orders(connection, given, tools, now)
