"""Operators' orders. They are written into the store; the communicator applies them, as it does those of the CLI."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from mqi_communicator.case.model import Priority
from mqi_communicator.case.signing import request_of
from mqi_communicator.case.views import CaseView
from mqi_communicator.store import orders
from mqi_communicator.store.orders import Order
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.users import User

OrderName = Literal["retry", "hold", "release", "cancel", "priority"]
ANSWER_TIMEOUT_S = 3.0


def whole_number(value: object) -> object:
    """Accept 2.0 as the integer 2, since JSON has one kind of number; reject true and false."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic reports a ValueError as a validation error
    return int(value) if isinstance(value, float) and value.is_integer() else value


_PRIORITY_ALONE: JsonDict = {
    "if": {"properties": {"order": {"const": "priority"}}},
    "then": {"required": ["priority"], "properties": {"priority": {"type": "string"}}},
    "else": {"properties": {"priority": {"type": "null"}}},
}


class OrderRequest(BaseModel):
    """An order for a case, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_PRIORITY_ALONE)

    order: OrderName = Field(description="The action.")
    reason: str = Field(
        min_length=3,
        max_length=500,
        pattern=r"\S[\s\S]*\S",
        description="The reason; recorded with the order and its events.",
    )
    priority: Priority | None = Field(default=None, description="The new priority; only for the order priority.")
    known: Annotated[int | None, BeforeValidator(whole_number)] = Field(
        default=None,
        ge=0,
        le=2**53,
        strict=True,
        description="Number of the last order for this case that the client has seen, 0 for none. The order is refused "
        "if there is a newer one.",
    )

    @model_validator(mode="after")
    def _priority_only_with_its_order(self) -> OrderRequest:
        if (self.order == "priority") != (self.priority is not None):
            raise ValueError("priority is required with the order priority and not allowed with any other")
        return self


@dataclass(frozen=True, slots=True)
class OrderResult:
    """The result of an order so far. `answer` is "" until the communicator has applied it."""

    number: int
    running: bool
    answer: str


def applicable(case: CaseView) -> tuple[OrderName, ...]:
    """The orders that have an effect in the present state of a case."""
    live = case.status in ("ready", "waiting", "held")
    found: list[OrderName] = []
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


async def submit(
    context: DashboardContext, case: str, request: OrderRequest, user: User, token: str = ""
) -> OrderResult:
    """Store an order and wait up to ANSWER_TIMEOUT_S for its result.

    ConcurrentOrder if there is a newer order for the case than number `known`. `token`: id of the token that was used.
    """
    facts = {
        "at": time.time(),
        "case": case,
        "order": request.order,
        "who": f"{user.name} (token {token})" if token else f"{user.name} (dashboard)",
        "why": request.reason.strip(),
        "detail": request.priority.value if request.priority else "",
    }
    if request.known is None:
        number = await context.database.write(orders.add, **facts)  # type: ignore[arg-type]
    else:
        number = await context.database.write(orders.add_if_latest, known=request.known, **facts)
    running = context.queries.running()
    answer = await answer_of(context, number, ANSWER_TIMEOUT_S) if running else ""
    return OrderResult(number, running, answer)


async def answer_of(context: DashboardContext, number: int, timeout_s: float) -> str:
    """The answer to an order, "" if it is not applied in time or the server is closed."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and not context.closing.is_set():
        order = await context.database.read(orders.get, number)
        if order.applied is not None:
            return order.answer
        await asyncio.sleep(0.1)
    return ""


def order_text(order: Order) -> str:
    """What was ordered."""
    if order.order != "sign":
        return f"{order.order} {order.detail}".strip()
    try:
        return f"sign: {request_of(order.detail).decision}"
    except ValueError:
        return order.order


def status_text(order: Order, *, running: bool) -> str:
    """The result of an order, or why it has none yet."""
    if order.applied is not None:
        return order.answer
    if order.answer:
        return order.answer  # why it waits
    return "not applied yet" if running else "applied when the communicator runs"
