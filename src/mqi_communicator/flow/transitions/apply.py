"""Apply an order: move its work items, answer it, record it in the spool."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from mqi_communicator.case.model import CaseKind, Event, Priority, rank_of
from mqi_communicator.flow.constancy_due import recorded_due
from mqi_communicator.flow.spool.decisions import note_order
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.transitions.decide import COMPARE
from mqi_communicator.flow.transitions.fractions import JUDGE
from mqi_communicator.flow.transitions.orders import event_of, moves_of_order, priority_refusal
from mqi_communicator.store import audit, cases, jobs, orders, signatures, work_items
from mqi_communicator.store.orders import Order

JUDGED_AT: dict[str, str] = {
    CaseKind.PLAN: COMPARE,
    CaseKind.DELIVERY: "",
    CaseKind.FRACTION: JUDGE,
    CaseKind.DOSE: COMPARE,
}


def apply_order(
    connection: Connection, order: Order, spool: Spool, now: float, ageing_s: float
) -> tuple[list[Event], str]:
    """Apply one order in one transaction: a step that ends at the same moment comes before it or after it.

    The order is recorded in the spool before the transaction ends: StoreUnavailable, and no change, if that fails.
    """
    if order.order == "priority":
        events, answer = _set_priority(connection, order, now, ageing_s)
    else:
        events, answer = _move_items(connection, order, now)
    if events:
        case = cases.get(connection, order.case)
        note_order(spool, case, order, recorded_due(connection, case.key) if case.constancy else None)
    return events, answer


def refusal_now(connection: Connection, case: str, order: str, beam: int, detail: str) -> str:
    """Why an order would do nothing in the present state, for a communicator that does not run; "" if it would do
    something, or if other orders for the case come first."""
    if orders.is_pending(connection, case):
        return ""
    if order == "priority":
        own, before = work_items.get(connection, case), Priority(cases.get(connection, case).priority)
        return priority_refusal(own, before, Priority(detail))
    judged_at = JUDGED_AT[cases.get(connection, case).kind]
    moves, answer = moves_of_order(order, work_items.of_case(connection, case), 0.0, beam, judged_at)
    return "" if moves else answer


def _move_items(connection: Connection, order: Order, now: float) -> tuple[list[Event], str]:
    judged_at = JUDGED_AT[cases.get(connection, order.case).kind]
    items = work_items.of_case(connection, order.case)
    moves, answer = moves_of_order(order.order, items, now, order.beam, judged_at)
    events = [event_of(order.order, order.who, order.why, before, moved, now) for before, moved in moves]
    for (before, moved), event in zip(moves, events, strict=True):
        work_items.move(connection, before, moved, event)
        if order.order == "lost":
            jobs.presume_lost(connection, before.case, before.beam, before.run, order.who)
    if order.order == "lost" or any(before.step == "submit" for before, _ in moves):
        work_items.wake_step(connection, "submit", now)  # the queue has changed
    if moves and order.order == "rejudge":
        signatures.withdraw(connection, order.case)
    orders.answer(connection, order.id, answer, now)
    return events, answer


def _set_priority(connection: Connection, order: Order, now: float, ageing_s: float) -> tuple[list[Event], str]:
    """A new priority gives a new rank in every queue, from the next tick on."""
    case, priority = cases.get(connection, order.case), Priority(order.detail)
    own = work_items.get(connection, case.key)
    if refused := priority_refusal(own, Priority(case.priority), priority):
        orders.answer(connection, order.id, refused, now)
        return [], refused
    rank = rank_of(priority, case.seen, ageing_s)
    cases.change(connection, case.key, priority=priority.value, rank=rank)
    event = event_of(order.order, order.who, order.why, own, own, now)
    event = replace(event, before=case.priority, after=priority.value)
    audit.append(connection, event)
    work_items.wake_step(connection, "submit", now)
    answer = f"priority is {priority.value}"
    orders.answer(connection, order.id, answer, now)
    return [event], answer
