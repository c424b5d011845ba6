"""Orders of operators: written by the CLI or dashboard at any time, applied by the running communicator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from mqi_communicator.case.visible import visible
from mqi_communicator.store.schema import events, orders

NOT_SIGNED = "not signed: "  # begins the answer to an order to sign that was refused
NAMES = ("retry", "hold", "release", "cancel", "priority", "lost", "rejudge", "sign")


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `answer` is its result once `applied`, before that why it waits. Control characters are escaped."""

    id: int
    at: float
    case: str
    order: str
    who: str
    why: str
    applied: float | None
    answer: str
    beam: int = 0
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("who", "why", "answer", "detail"):
            object.__setattr__(self, name, visible(getattr(self, name)))


def add(
    connection: Connection, *, at: float, case: str, order: str, who: str, why: str, beam: int = 0, detail: str = ""
) -> int:
    """Insert an order; returns its id."""
    values = {
        "at": at,
        "case": case,
        "order": order,
        "who": visible(who),
        "why": visible(why),
        "beam": beam,
        "detail": visible(detail),
    }
    done = connection.execute(orders.insert().values(**values))
    return int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0


class ConcurrentOrder(Exception):  # noqa: N818 - named after what happened
    """Another order for this case was written first; nothing was written. `order` is the other one."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"{order.who} has ordered {order.order}")
        self.order = order


def add_if_latest(connection: Connection, /, *, known: int, **order: Any) -> int:
    """`add`, unless the case has an order with a higher id than `known`: then ConcurrentOrder."""
    newest = of_case(connection, order["case"], limit=1)
    if newest and newest[0].id > known:
        raise ConcurrentOrder(newest[0])
    return add(connection, **order)


def of_case(connection: Connection, case: str, limit: int = 20) -> list[Order]:
    """The last orders for a case, newest first."""
    query = select(orders).where(orders.c.case == case).order_by(orders.c.id.desc()).limit(limit)
    rows = connection.execute(query)
    return [Order(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def is_known(connection: Connection, order: Order) -> bool:
    """Whether this store holds the order under any id: same case, order and time."""
    same = (orders.c.case == order.case, orders.c.order == order.order, orders.c.at == order.at)
    return connection.execute(select(orders.c.id).where(*same).limit(1)).one_or_none() is not None


def pending(connection: Connection) -> list[Order]:
    """Orders that were not applied yet, oldest first."""
    rows = connection.execute(select(orders).where(orders.c.applied.is_(None)).order_by(orders.c.id))
    return [Order(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def is_pending(connection: Connection, case: str) -> bool:
    """Whether an order for this case was not applied yet."""
    query = select(orders.c.id).where(orders.c.case == case, orders.c.applied.is_(None)).limit(1)
    return connection.execute(query).one_or_none() is not None


def had_effect(connection: Connection, order: Order) -> bool:
    """Whether an applied order changed something: then its events were recorded in the same transaction, at the time
    at which it was applied."""
    here = (events.c.case == order.case, events.c.event == f"order.{order.order}", events.c.at == order.applied)
    return connection.execute(select(events.c.id).where(*here).limit(1)).one_or_none() is not None


def get(connection: Connection, number: int) -> Order:
    """One order."""
    row = connection.execute(select(orders).where(orders.c.id == number)).one()
    return Order(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it


def note(connection: Connection, number: int, text: str) -> None:
    """Note why an order is not applied yet."""
    connection.execute(update(orders).where(orders.c.id == number).values(answer=visible(text)))


def answer(connection: Connection, number: int, text: str, now: float) -> None:
    """Set the result of an order."""
    connection.execute(update(orders).where(orders.c.id == number).values(applied=now, answer=text))
