"""Signing results: the password again, and an order that the communicator carries out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.views import CaseView
from mqi_communicator.store import orders
from mqi_communicator.web.actions import OrderResult, answer_of, whole_number
from mqi_communicator.web.authentication import check_password
from mqi_communicator.web.client import client_address
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import request_info
from mqi_communicator.web.signer import ROLE, shown_manifest, sign_request

ANSWER_TIMEOUT_S = 45.0  # the results are verified, and the report is stamped in a worker


class SignatureRequest(BaseModel):
    """A signature: the decision, the results that were seen, and the password of the user."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Literal["accept", "reject"] = Field(description="The decision.")
    reason: str = Field(default="", max_length=500, description="Required except to accept a verdict of pass.")
    seen: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the manifest.json that was seen; refused if there are other results by now.",
    )
    number: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=1, ge=1, le=2, strict=True, description="1, or 2 for the second signature."
    )
    password: str = Field(
        default="", max_length=300, description="The user's password; not needed with a token of role physicist."
    )


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818 - named after what happened
    """Nothing was signed."""

    status: HTTPStatus
    message: str
    retry_after_s: float = 0.0


async def sign(request: Request, case: CaseView, wanted: SignatureRequest) -> OrderResult:
    """Order a signature in the name of the user of this request, and wait for it. Refusal if it is not given."""
    context: DashboardContext = request.app.state.context
    info = request_info(request)
    if not info.user.may(ROLE):
        raise Refusal(HTTPStatus.FORBIDDEN, f"Signing requires the role {ROLE}.")
    if await asyncio.to_thread(shown_manifest, case.results) != wanted.seen:
        raise Refusal(
            HTTPStatus.CONFLICT, "There are other results than those of the page. Reload it and look at them again."
        )
    if not info.token:
        await _check_password(request, context, wanted.password)
    through = "API" if info.token or request.url.path.startswith("/api/") else "dashboard"
    try:
        given = sign_request(
            info.user,
            wanted.decision,
            proof="token" if info.token else "password",
            through=through,
            seen=wanted.seen,
            number=wanted.number,
        )
    except ActionRequired as fault:
        raise Refusal(HTTPStatus.CONFLICT, f"{fault.reason}: {fault.advice}") from None
    who = info.user.name + (f" (token {info.token})" if info.token else " (dashboard)")
    facts = {"at": time.time(), "case": case.case, "order": "sign", "who": who, "why": wanted.reason.strip()}
    number = await context.database.write(orders.add, **facts, detail=given.text())  # type: ignore[arg-type]
    running = context.queries.running()
    answer = await answer_of(context, number, ANSWER_TIMEOUT_S) if running else ""
    if answer.startswith(orders.NOT_SIGNED):
        raise Refusal(HTTPStatus.CONFLICT, f"{answer[0].upper()}{answer[1:]}")
    return OrderResult(number, running, answer)


async def _check_password(request: Request, context: DashboardContext, password: str) -> None:
    """Refusal unless this is the password of the signed-in user. Counted like a sign-in."""
    user = request_info(request).user
    if not user.password:
        raise Refusal(
            HTTPStatus.FORBIDDEN, "Your account has no password here, which signing requires: mqi user add sets one."
        )
    address = client_address(request, context.options.client_header)
    attempt = await check_password(context, user.name, password, address)
    if attempt.refusal:
        status = HTTPStatus.SERVICE_UNAVAILABLE if attempt.busy else HTTPStatus.TOO_MANY_REQUESTS
        raise Refusal(status, attempt.refusal, attempt.retry_after_s)
    if attempt.user is None:
        structlog.get_logger().warning("web.sign_refused", user=user.name, address=address or "socket")
        raise Refusal(HTTPStatus.FORBIDDEN, "Incorrect password. Nothing was signed.")
