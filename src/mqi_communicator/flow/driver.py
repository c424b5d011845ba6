"""Who is due: runs the steps of many lines at once, within the limits, until told to stop."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault, Unreachable
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.outcome import Extend, Outcome, Resend, Wait
from mqi_communicator.flow.hosts.guard import guarded
from mqi_communicator.flow.options import RetryOptions
from mqi_communicator.flow.steps.cancel import cancel
from mqi_communicator.flow.steps.functions import PERFORM
from mqi_communicator.flow.steps.table import after, step_of
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.flow.transitions.decide import EXTENDED, RESEND_S, UPLOAD, decide, extended, resend
from mqi_communicator.store import orders, work_items
from mqi_communicator.store.database import LostOwnership, StoreUnavailable
from mqi_communicator.store.orders import Order

TICK_S = 1.0
STORE_PAUSE_S = 5.0
CLOCK_STEP_S = 5.0  # by so much the wall clock must fall behind between two turns to have been set back
ABANDON_S = 5.0  # for what was abandoned to let go of what it holds
GRACE_S = 60.0  # for a step that has passed its limit to be ended
UNREACHABLE_TRIES = 3  # in a row without an answer: from then on nobody counts on the host for now
Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RunningStep:
    """One try of a step that has begun and not ended. `limit_s`: when its own limit should have ended it."""

    case: str
    beam: int
    step: str
    began: float  # monotonic seconds
    limit_s: float
    only_polls: bool

    def overdue(self, now: float) -> bool:
        """Whether it has outlived its own limit: something in it does not come back."""
        return now - self.began > self.limit_s + GRACE_S


class Driver:
    """Moves every line that is due, and remembers which ones only the outside world can move."""

    def __init__(self, tools: Tools, retry: RetryOptions, listen: Listener) -> None:
        self._tools = tools
        self._retry = retry
        self._listen = listen
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._running: dict[tuple[str, int], RunningStep] = {}
        self._ended_since_read: set[tuple[str, int]] = set()  # the due ones were read: these are no longer as read
        self._wake = asyncio.Event()
        self._idle: dict[tuple[str, int], str] = {}  # "parked" or "unreachable", by line
        self._unanswered: dict[tuple[str, int], int] = {}  # tries in a row that the host did not answer, by line
        resources = tools.resources
        self._limits = {
            "admissions": resources.admissions,
            "workers": resources.workers,
            "transfers": resources.transfers,
        }
        self._in_use = dict.fromkeys(self._limits, 0)
        self._clock_offset = math.inf  # of the wall clock, before the monotonic one
        self.changed_at = time.time()

    @property
    def under_way(self) -> list[RunningStep]:
        """Every step that has begun and not ended, the oldest first."""
        return sorted(self._running.values(), key=lambda one: one.began)

    def stuck(self) -> RunningStep | None:
        """A step that has outlived its own limit: it does not come back by itself, and a restart must help."""
        now = time.monotonic()
        return next((one for one in self.under_way if one.overdue(now)), None)

    @property
    def in_use(self) -> dict[str, int]:
        """How many places of each limit (admissions, desk, transfers) are taken now."""
        return dict(self._in_use)

    @property
    def limits(self) -> dict[str, int]:
        """How many places each limit has."""
        return dict(self._limits)

    def wake(self) -> None:
        """Look now rather than at the next tick."""
        self._wake.set()

    async def tick(self) -> None:
        """Carry out orders, start what is due, then wait until something happens (a second at the most)."""
        await self._handle_clock_step()
        self._ended_since_read.clear()
        given, coming = await self._tools.database.read(_agenda, self._tools.clock())
        for order in given:
            await self._apply(order)
        if given:
            self._ended_since_read.clear()
            coming = await self._tools.database.read(work_items.due, self._tools.clock())
        for item in coming:
            if (item.case, item.beam) not in self._tasks.keys() | self._ended_since_read:
                await self._begin(item)
        await self._wait()

    async def stop(self, patience_s: float = 0.0, hurry: asyncio.Event | None = None) -> list[RunningStep]:
        """Begin nothing more; give what is under way so long to end, less if `hurry` is set; abandon the rest, and
        return it. Jobs on the host go on; every step can be begun again."""
        waited = [self._tasks[key] for key, one in self._running.items() if not one.only_polls]
        if waited and patience_s > 0:
            hurried = asyncio.ensure_future((hurry or asyncio.Event()).wait())
            ended = asyncio.ensure_future(asyncio.wait(waited))
            await asyncio.wait({hurried, ended}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            ended.cancel()
        left = self.under_way
        flight = list(self._tasks.values())
        for task in flight:
            task.cancel()
        if flight:
            await asyncio.wait(flight, timeout=ABANDON_S)
        return left

    async def idle_reason(self) -> str:
        """Why nothing will move by itself: "quiet", "unreachable", or "" while something still may."""
        if self._tasks:  # asked first: whatever lands while the store is read may have made another line due
            return ""
        if await self._tools.database.read(work_items.due, self._tools.clock()):
            return ""
        live = await self._tools.database.read(work_items.live)
        states = {
            "parked" if item.status is Status.HELD or item.needs_person else self._idle.get((item.case, item.beam), "")
            for item in live
        }
        if "" in states:
            return ""
        return "unreachable" if "unreachable" in states else "quiet"

    async def _handle_clock_step(self) -> None:
        """Pauses are kept by the wall clock: where it is set back, and at the start, every line is looked at."""
        offset = self._tools.clock() - time.monotonic()
        if offset < self._clock_offset - CLOCK_STEP_S:
            await self._tools.database.write(work_items.wake_all, self._tools.clock())
        self._clock_offset = offset

    async def _wait(self) -> None:
        """A second at the most; a line that is under way already is no reason to look sooner."""
        coming = await self._tools.database.read(work_items.next_due)
        pause = TICK_S if coming is None else min(TICK_S, max(coming - self._tools.clock(), 0.0) or TICK_S)
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _begin(self, item: WorkItem) -> None:
        step, was = step_of(item), item
        cancelling = item.wanted == "cancel"
        if step.limit and not cancelling:
            if self._in_use[step.limit] >= self._limits[step.limit]:
                limit = f"resources.{step.limit} = {self._limits[step.limit]}"
                await self._tools.database.write(work_items.set_reason, item, f"waiting for its turn ({limit})")
                return
            item = await self._up_to_date(item)
            self._in_use[step.limit] += 1  # nothing may fail between here and the task that gives the place back
        work = cancel(item, self._tools) if cancelling else PERFORM[step.name](item, self._tools)
        task = asyncio.create_task(self._work(item, was, work, step.limit_s))
        self._tasks[item.case, item.beam] = task
        self._running[item.case, item.beam] = RunningStep(
            item.case, item.beam, item.step, time.monotonic(), step.limit_s, step.only_polls and not cancelling
        )
        task.add_done_callback(lambda _: self._on_end(item, "" if cancelling else step.limit))

    async def _up_to_date(self, item: WorkItem) -> WorkItem:
        """Work that takes a while shows that it is under way, not what it waited for before."""
        if item.status is not Status.WAITING:
            return item
        under_way = replace(item, status=Status.READY, reason="", advice="", needs_person=False)
        try:
            await self._tools.database.write(work_items.move, item, under_way, None)
        except work_items.WorkItemChanged:
            return item
        return under_way

    def _on_end(self, item: WorkItem, limit: str) -> None:
        task = self._tasks.pop((item.case, item.beam))
        self._ended_since_read.add((item.case, item.beam))
        del self._running[item.case, item.beam]
        if limit:
            self._in_use[limit] -= 1
        self._wake.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, LostOwnership):
            self._lost = error
        else:  # a mistake of ours about one line: the others go on, and this one is tried again
            self._tools.emit(
                "step.internal_error", case=item.case, beam=item.beam, step=item.step, error=type(error).__name__
            )

    _lost: LostOwnership | None = None

    def check(self) -> None:
        """Raise what must end this process: LostOwnership."""
        if self._lost is not None:
            raise self._lost

    async def _work(self, item: WorkItem, was: WorkItem, work: Awaitable[Outcome], limit: float) -> None:
        """`was`: the line before it was shown as under way."""
        if was.status is not Status.WAITING or was.tries:
            self._tools.emit("step.started", case=item.case, beam=item.beam, step=item.step, attempt=item.tries + 1)
        began = time.monotonic()
        outcome = await guarded(work, limit, self._tools.emit)
        await self._record(item, was, outcome, time.monotonic() - began)

    async def _record(self, item: WorkItem, was: WorkItem, outcome: Outcome | Fault, seconds: float) -> None:
        now = self._tools.clock()
        chance = random.random()  # noqa: S311 - jitter
        moved, event = decide(item, outcome, now, after=after(item), retry=self._retry, chance=chance)
        event = replace(event, facts=dict(event.facts) | {"took_s": round(seconds, 3)})
        self._note_idle(item, outcome)
        # Looking again and finding the same is no news: the line is written, the log of events is not.
        news = (moved.status, moved.step, moved.reason) != (was.status, was.step, was.reason)
        try:
            await self._save(item, moved, event if news else None, outcome)
        except work_items.WorkItemChanged:
            self._tools.emit("step.discarded", case=item.case, beam=item.beam, step=item.step)
            return
        if news:
            self.changed_at = now
            self._listen(event)

    async def _save(self, item: WorkItem, moved: WorkItem, event: Event | None, outcome: Outcome | Fault) -> None:
        """What came of a step is not forgotten because the store cannot be written just now."""
        while True:
            try:
                await self._tools.database.write(_move, item, moved, event, outcome)
            except StoreUnavailable as trouble:
                self._tools.emit("database.error", why=trouble.reason)
                await asyncio.sleep(STORE_PAUSE_S)
            else:
                return

    def _note_idle(self, item: WorkItem, outcome: Outcome | Fault) -> None:
        key = (item.case, item.beam)
        self._idle.pop(key, None)
        unanswered = self._unanswered.pop(key, 0)
        match outcome:
            case Wait(parked=True):
                self._idle[key] = "parked"
            case Unreachable():
                self._unanswered[key] = unanswered + 1
                if self._unanswered[key] >= UNREACHABLE_TRIES:
                    self._idle[key] = "unreachable"

    async def _apply(self, order: Order) -> None:
        events, answer = await self._tools.database.write(
            apply_order, order, self._tools.spool(order.case), self._tools.clock(), self._tools.resources.ageing_s
        )
        for event in events:
            self._listen(event)
            if order.order == "cancel" and (task := self._tasks.get((event.case, event.beam))):
                task.cancel()
        self._tools.emit("order.applied", case=order.case, order=order.order, answer=answer)


def _agenda(connection: Connection, now: float) -> tuple[list[Order], list[WorkItem]]:
    return orders.pending(connection), work_items.due(connection, now)


def _move(
    connection: Connection, item: WorkItem, moved: WorkItem, event: Event | None, outcome: Outcome | Fault
) -> None:
    """The line's new state; whoever of its family waits for it looks now."""
    work_items.move(connection, item, moved, event)
    if isinstance(outcome, Resend):
        own = work_items.get(connection, item.case)
        again = resend(own, outcome.why, moved.since)
        if again != own:
            now = moved.due - RESEND_S
            said = Event(now, own.case, own.beam, "case.resent", own.step, own.status, UPLOAD, why=outcome.why)
            work_items.move(connection, own, replace(again, due=now, since=now), said)
    if isinstance(outcome, Extend):
        own, *beams = work_items.of_case(connection, item.case)
        for beam in beams:
            again = extended(beam, own, outcome.why, moved.due)
            to = f"{again.step}/{again.status}"
            said = Event(moved.due, beam.case, beam.beam, EXTENDED, beam.step, beam.status, to, why=outcome.why)
            work_items.move(connection, beam, again, said)
    if moved.beam != CASE_ITEM and moved.status.ended:
        work_items.wake(connection, item.case, CASE_ITEM, moved.due)
    if moved.beam == CASE_ITEM and moved.step != item.step:
        work_items.wake_beams(connection, item.case, moved.due)
