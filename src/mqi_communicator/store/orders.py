"""Orders of operators: written by the CLI at any time, carried out by the flow when it runs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from mqi_communicator.store.schema import orders

WORDS = ("retry", "hold", "release", "cancel", "priority", "lost", "rejudge")


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `answer` tells what came of it once `applied`."""

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


def give(
    connection: Connection, *, at: float, case: str, order: str, who: str, why: str, beam: int = 0, detail: str = ""
) -> int:
    """Write an order down; returns its number."""
    values = {"at": at, "case": case, "order": order, "who": who, "why": why, "beam": beam, "detail": detail}
    done = connection.execute(orders.insert().values(**values))
    return int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0


def pending(connection: Connection) -> list[Order]:
    """Orders not carried out yet, oldest first."""
    rows = connection.execute(select(orders).where(orders.c.applied.is_(None)).order_by(orders.c.id))
    return [Order(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def get(connection: Connection, number: int) -> Order:
    """One order."""
    row = connection.execute(select(orders).where(orders.c.id == number)).one()
    return Order(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it


def answer(connection: Connection, number: int, text: str, now: float) -> None:
    """Say what came of an order."""
    connection.execute(update(orders).where(orders.c.id == number).values(applied=now, answer=text))
