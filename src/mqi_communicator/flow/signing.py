"""Carries out orders to sign: beside the steps, since the results may be on a share that hangs.

A signature is written in the order's own words, with its time, so that an order that was interrupted at any point is
carried out again with the same result. Later orders for the same case wait until it is answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.case.signing import SignRequest, request_of
from mqi_communicator.flow.recovery.signatures import SignatureFound, found_signature, record_found
from mqi_communicator.flow.spool.decisions import SignedNote, note_signed
from mqi_communicator.flow.tasks import sign_results
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import TIDY
from mqi_communicator.results.signature import SIGNATURES
from mqi_communicator.store import audit, cases, orders, signatures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import LostOwnership, StoreUnavailable
from mqi_communicator.store.orders import Order

SIGN = "sign"  # the order
SIGNED = "case.signed"  # the event
PAUSE_S = 10.0  # before an order is tried again whose results cannot be reached
STORE_RETRY_S = 5.0


@dataclass(slots=True)
class _Attempt:
    task: asyncio.Task[None] | None = None
    not_before: float = 0.0  # monotonic seconds


class Signing:
    """Carries out the orders to sign, one at a time. `listen` gets each event once it is stored."""

    def __init__(self, tools: Tools, listen: Callable[[Event], None], wake: Callable[[], None]) -> None:
        self._tools, self._listen, self._wake = tools, listen, wake
        self._attempts: dict[int, _Attempt] = {}
        self._one_at_a_time = asyncio.Lock()
        self._lost: LostOwnership | None = None

    @property
    def under_way(self) -> bool:
        """Whether an order is being carried out."""
        return any(attempt.task is not None for attempt in self._attempts.values())

    def begin(self, order: Order) -> None:
        """Carry out this order, unless that is under way, or was deferred a moment ago."""
        now = time.monotonic()
        self._attempts = {key: one for key, one in self._attempts.items() if one.task or one.not_before > now}
        attempt = self._attempts.setdefault(order.id, _Attempt())
        if attempt.task is None and now >= attempt.not_before:
            attempt.task = asyncio.create_task(self._sign(order))
            attempt.task.add_done_callback(lambda task: self._on_end(order, task))

    def check(self) -> None:
        """Raise what must end this process: LostOwnership."""
        if self._lost is not None:
            raise self._lost

    async def stop(self) -> None:
        """End all attempts; the orders stay."""
        tasks = [attempt.task for attempt in self._attempts.values() if attempt.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_end(self, order: Order, task: asyncio.Task[None]) -> None:
        self._attempts[order.id] = _Attempt(not_before=time.monotonic() + PAUSE_S)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LostOwnership):
            self._lost = error
        elif error is not None:
            self._tools.emit("step.internal_error", case=order.case, step=SIGN, error=type(error).__name__)
        self._wake()

    async def _sign(self, order: Order) -> None:
        async with self._one_at_a_time:
            if (await self._tools.database.read(orders.get, order.id)).applied is not None:
                return  # the pending orders were read just before it was answered
            case, own = await self._tools.database.read(_case, order.case)
            try:
                request = _accepted(order, case, own)
                await asyncio.to_thread(self._tools.marker.verify)
                event, answer = await self._signed(order, request, case, own)
            except Permanent as refused:
                await self._recover(case)
                event, answer = (
                    None,
                    f"{orders.NOT_SIGNED}{refused.reason}" + (f" -> {refused.advice}" * bool(refused.advice)),
                )
            except LostOwnership:
                raise
            except Fault as fault:
                self._tools.emit("signature.deferred", case=order.case, why=fault.reason)
                await self._save(orders.note, order.id, f"waiting: {fault.reason} -> {fault.advice}")
                return
            await self._save(_record, order, event, answer, self._tools.clock())
        self._tools.emit("order.applied", case=order.case, order=order.order, answer=answer)
        if event is not None:
            self._listen(event[0])

    async def _signed(
        self, order: Order, request: SignRequest, case: Case, own: WorkItem
    ) -> tuple[tuple[Event, SignatureFound], str]:
        spool, second = self._tools.spool(case.key), self._tools.signing.second
        results = Path(case.results)
        signed = await self._tools.workers.run(
            sign_results, spool, results, request, order.why, order.at, second=second
        )
        found = SignatureFound(case.key, case.results, signed.state, request.user, order.at)
        await asyncio.to_thread(note_signed, spool, SignedNote(found.results, found.state, found.by, found.at))
        document = signed.document
        facts: dict[str, object] = {
            "decision": document.decision.value,
            "number": document.number,
            "user": request.user,
            "overrides": document.overrides,
            "manifest": document.manifest,
            "outputs": {**document.digests, SIGNATURES[document.number - 1]: signed.digest},
        }
        why = f"{document.decision.value}ed by {request.user}"
        event = Event(
            self._tools.clock(),
            case.key,
            CASE_ITEM,
            SIGNED,
            own.step,
            case.signature,
            signed.state,
            order.who,
            why,
            facts,
        )
        return (event, found), document.headline

    async def _recover(self, case: Case) -> None:
        """Signatures that the store does not know are recorded."""
        found = await asyncio.to_thread(found_signature, case, second=self._tools.signing.second)
        if found is not None:
            await self._save(record_found, found, self._tools.clock())

    async def _save(self, change: Callable[..., object], *args: object) -> None:
        """Retry while the store cannot be written: a signature that exists is not forgotten."""
        while True:
            try:
                await self._tools.database.write(change, *args)
            except StoreUnavailable as trouble:
                self._tools.emit("database.error", why=trouble.reason)
                await asyncio.sleep(STORE_RETRY_S)
            else:
                return


def _case(connection: Connection, key: str) -> tuple[Case, WorkItem]:
    return cases.get(connection, key), work_items.get(connection, key)


def _accepted(order: Order, case: Case, own: WorkItem) -> SignRequest:
    """The request. Permanent if the case cannot be signed now."""
    try:
        request = request_of(order.detail)
    except ValueError:
        raise Permanent("the order is not a request to sign", "sign in the dashboard, or with mqi sign") from None
    if not case.results:
        raise Permanent("the case has no results yet", f"mqi why {case.key} explains its state")
    if own.step != TIDY:
        raise Permanent(
            f"the case is computed or judged again: it is {own.status} at {own.step}",
            "sign the new results when they are delivered",
        )
    if case.superseded_by:
        raise Permanent(f"the plan has a newer revision, case {case.superseded_by}", "sign that one")
    return request


def _record(
    connection: Connection, order: Order, signed: tuple[Event, SignatureFound] | None, answer: str, now: float
) -> None:
    """Event, state and answer, in one transaction."""
    if signed is not None:
        event, found = signed
        audit.append(connection, event)
        signatures.record(connection, order.case, found.state, found.by, found.at)
    orders.answer(connection, order.id, answer, now)
