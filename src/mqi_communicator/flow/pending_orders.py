"""Operators' orders: read with the items that are due, and applied before any step starts."""

from __future__ import annotations

from sqlalchemy import Connection

from mqi_communicator.case.model import Event, WorkItem
from mqi_communicator.flow.signing import SIGN
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.store import orders, work_items
from mqi_communicator.store.orders import Order


def orders_and_due(connection: Connection, now: float) -> tuple[list[Order], list[WorkItem]]:
    """The orders that are not applied yet, and the items that are due, both in order."""
    return orders.pending(connection), work_items.due(connection, now)


def split(pending: list[Order]) -> tuple[list[Order], list[Order]]:
    """The orders to sign, and those to apply now: later orders for a case wait until its order to sign is answered."""
    signing: list[Order] = []
    ready: list[Order] = []
    held: set[str] = set()
    for order in pending:
        if order.order == SIGN:
            held.add(order.case)
            signing.append(order)
        elif order.case not in held:
            ready.append(order)
    return signing, ready


async def apply(tools: Tools, order: Order) -> list[Event]:
    """Apply an order in one transaction; return the events it caused."""
    events, answer = await tools.database.write(
        apply_order, order, tools.spool(order.case), tools.clock(), tools.resources.ageing_s
    )
    tools.emit("order.applied", case=order.case, order=order.order, answer=answer)
    return events
