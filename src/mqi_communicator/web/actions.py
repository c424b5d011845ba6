"""Operators' orders: written into the store, carried out by the communicator, as those of the command line."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from mqi_communicator.case.model import Priority
from mqi_communicator.case.views import CaseView
from mqi_communicator.store import orders
from mqi_communicator.store.orders import Order
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.users import User

Word = Literal["retry", "hold", "release", "cancel", "priority"]
PATIENCE_S = 3.0


def whole_number(value: object) -> object:
    """JSON knows one kind of number: 2.0 is a whole one; true is none."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic turns a ValueError into words
    return int(value) if isinstance(value, float) and value.is_integer() else value


_PRIORITY_ALONE: JsonDict = {
    "if": {"properties": {"order": {"const": "priority"}}},
    "then": {"required": ["priority"], "properties": {"priority": {"type": "string"}}},
    "else": {"properties": {"priority": {"type": "null"}}},
}


class OrderAsked(BaseModel):
    """An order for a case, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_PRIORITY_ALONE)

    order: Word = Field(description="What is to be done.")
    reason: str = Field(
        min_length=3,
        max_length=500,
        pattern=r"\S[\s\S]*\S",
        description="Why; it is recorded with the order and its events.",
    )
    priority: Priority | None = Field(default=None, description="How soon it is wanted; for the order priority alone.")
    known: Annotated[int | None, BeforeValidator(whole_number)] = Field(
        default=None,
        ge=0,
        le=2**53,
        strict=True,
        description="Number of the last order for this case that its giver has seen, 0 for none. If there is a newer "
        "one, this one is refused: somebody was first.",
    )

    @model_validator(mode="after")
    def _whole(self) -> OrderAsked:
        if (self.order == "priority") != (self.priority is not None):
            raise ValueError("priority is named with the order priority, and with no other")
        return self


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an order so far. `answer` is "" while the communicator has not carried it out."""

    number: int
    running: bool
    answer: str


def fitting(case: CaseView) -> tuple[Word, ...]:
    """The orders that can do something for a case as it stands."""
    live = case.status in ("ready", "waiting", "held")
    found: list[Word] = []
    stuck = case.status in ("failed", "cancelled") or any(beam.status in ("failed", "cancelled") for beam in case.beams)
    if stuck or case.status == "waiting":
        found.append("retry")
    if case.status in ("ready", "waiting"):
        found.append("hold")
    if case.status == "held" or any(beam.status == "held" for beam in case.beams):
        found.append("release")
    if live:
        found.append("priority")
    if live or case.status == "failed":
        found.append("cancel")
    return tuple(found)


async def give(house: DashboardContext, case: str, asked: OrderAsked, user: User) -> Answered:
    """Write an order down; wait a moment for its answer. SomebodyWasFirst if its giver has not seen the last one."""
    facts = {
        "at": time.time(),
        "case": case,
        "order": asked.order,
        "who": f"{user.name} (dashboard)",
        "why": asked.reason.strip(),
        "detail": asked.priority.value if asked.priority else "",
    }
    if asked.known is None:
        number = await house.database.write(orders.give, **facts)  # type: ignore[arg-type]
    else:
        number = await house.database.write(orders.give_if_last, known=asked.known, **facts)
    running = house.ways.running()
    answer = await _answer(house, number) if running else ""
    return Answered(number, running, answer)


async def _answer(house: DashboardContext, number: int) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not house.closing.is_set():
        order = await house.database.read(orders.get, number)
        if order.applied is not None:
            return order.answer
        await asyncio.sleep(0.1)
    return ""


def told(order: Order, *, running: bool) -> str:
    """One line about an order, for the page."""
    if order.applied is not None:
        return order.answer
    return "not carried out yet" if running else "kept until the communicator runs"
