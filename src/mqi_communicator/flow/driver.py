"""Starts the steps of all work items that are due, many at once within the limits, until stopped."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mqi_communicator.case.model import Event, Status, WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow import outcomes, pending_orders
from mqi_communicator.flow.hosts.guard import guarded
from mqi_communicator.flow.idle import IdleStates
from mqi_communicator.flow.options import RetryOptions
from mqi_communicator.flow.signing import Signing
from mqi_communicator.flow.steps.cancel import cancel
from mqi_communicator.flow.steps.functions import PERFORM
from mqi_communicator.flow.steps.table import SETTINGS, Limit, step_of
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import work_items
from mqi_communicator.store.database import LostOwnership
from mqi_communicator.system.changes import FolderChanges

TICK_S = 1.0
IDLE_TICK_S = 5.0  # where changes of the store are reported
OPEN_AGAIN_S = 60.0
CLOCK_STEP_S = 5.0  # the wall clock was set back if it falls behind the monotonic one by more between two ticks
ABANDON_S = 5.0  # for cancelled steps to release what they hold
GRACE_S = 60.0  # for a step that has passed its limit to end
Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RunningStep:
    """One try of a step that has started and not ended."""

    case: str
    beam: int
    step: str
    began: float  # monotonic seconds
    limit_s: float  # its own limit, which should have ended it
    only_polls: bool

    def overdue(self, now: float) -> bool:
        """Whether it has outlived its own limit: something in it hangs."""
        return now - self.began > self.limit_s + GRACE_S


class Driver:
    """Runs the step of every work item that is due. `listen` gets each event once it is stored.

    `changes` reports writes to the store: orders then need no tick each second (`heed_changes`).
    """

    def __init__(
        self, tools: Tools, retry: RetryOptions, listen: Listener, changes: FolderChanges | None = None
    ) -> None:
        self._tools = tools
        self._retry = retry
        self._listen = listen
        self._changes = changes
        self._ticked_at = -math.inf  # monotonic seconds: when the last tick began
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._running: dict[tuple[str, int], RunningStep] = {}
        self._queued: dict[tuple[str, int], tuple[str, str]] = {}  # what a due item waits for here; its reason before
        self._ended_since_read: set[tuple[str, int]] = set()  # the due items were read before these ended
        self._wake = asyncio.Event()
        self._idle = IdleStates()
        self._signing = Signing(tools, self._on_signed, self._wake.set)
        self._limits: dict[Limit, int] = {name: getattr(tools.resources, key) for name, key in SETTINGS.items()}
        self._in_use = dict.fromkeys(self._limits, 0)
        self._clock_offset = math.inf  # of the wall clock to the monotonic one
        self._lost: LostOwnership | None = None
        self.changed_at = time.time()

    @property
    def under_way(self) -> list[RunningStep]:
        """Every step that has started and not ended, the oldest first."""
        return sorted(self._running.values(), key=lambda one: one.began)

    def stuck(self) -> RunningStep | None:
        """A step that has outlived its own limit: only a restart helps."""
        now = time.monotonic()
        return next((one for one in self.under_way if one.overdue(now)), None)

    @property
    def in_use(self) -> dict[str, int]:
        """How many slots of each limit are in use."""
        return {str(name): number for name, number in self._in_use.items()}

    @property
    def limits(self) -> dict[str, int]:
        """How many slots each limit has."""
        return {str(name): number for name, number in self._limits.items()}

    def wake(self) -> None:
        """End the wait for the next tick."""
        self._wake.set()

    async def heed_changes(self) -> None:
        """End the wait for the next tick when the store has changed, at most once per TICK_S. Never ends."""
        if self._changes is None:
            return
        try:
            while True:
                self._changes.open()
                if not self._changes.works:  # too many users of inotify: there is a tick each second
                    await asyncio.sleep(OPEN_AGAIN_S)
                    continue
                await self._changes.wait()
                await asyncio.sleep(max(0.0, self._ticked_at + TICK_S - time.monotonic()))
                self.wake()
        finally:
            self._changes.close()

    async def tick(self) -> None:
        """Apply orders, start what is due, then wait until something happens (a few seconds at the most)."""
        self._ticked_at = time.monotonic()
        await self._handle_clock_step()
        self._ended_since_read.clear()
        now = self._tools.clock()
        pending, due = await self._tools.database.read(pending_orders.orders_and_due, now)
        signing, ready = pending_orders.split(pending)
        for order in ready:
            for event in await pending_orders.apply(self._tools, order):
                self._listen(event)
                if order.order == "cancel" and (task := self._tasks.get((event.case, event.beam))):
                    task.cancel()
        for order in signing:  # after older orders for its case
            self._signing.begin(order)
        if pending:
            self._ended_since_read.clear()
            now = self._tools.clock()
            due = await self._tools.database.read(work_items.due, now)
        for item in due:
            if (item.case, item.beam) not in self._tasks.keys() | self._ended_since_read:
                await self._start(item)
        await self._wait(now)

    async def stop(self, patience_s: float = 0.0, hurry: asyncio.Event | None = None) -> list[RunningStep]:
        """Start nothing more; wait up to `patience_s` for running steps, less if `hurry` is set; cancel the rest, and
        return it. Jobs on the host continue; every step can be started again."""
        waited = [self._tasks[key] for key, one in self._running.items() if not one.only_polls]
        if waited and patience_s > 0:
            hurried = asyncio.ensure_future((hurry or asyncio.Event()).wait())
            ended = asyncio.ensure_future(asyncio.wait(waited))
            await asyncio.wait({hurried, ended}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            ended.cancel()
        left = self.under_way
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=ABANDON_S)
        await self._signing.stop()
        return left

    async def idle_reason(self) -> str:
        """Why nothing will move without the outside world: "quiet", "unreachable", or "" while something may."""
        if (
            self._tasks or self._signing.under_way
        ):  # first: a step that ends while the store is read may make another item due
            return ""
        pending, due = await self._tools.database.read(pending_orders.orders_and_due, self._tools.clock())
        if due or pending_orders.split(pending)[1]:
            return ""
        return self._idle.reason(await self._tools.database.read(work_items.live))

    def check(self) -> None:
        """Raise what must end this process: LostOwnership."""
        if self._lost is not None:
            raise self._lost
        self._signing.check()

    def _on_signed(self, event: Event) -> None:
        self.changed_at = event.at
        self._listen(event)

    async def _handle_clock_step(self) -> None:
        """Make every item due where the wall clock was set back, and at the start: due times are wall-clock times."""
        offset = self._tools.clock() - time.monotonic()
        if offset < self._clock_offset - CLOCK_STEP_S:
            await self._tools.database.write(work_items.wake_all, self._tools.clock())
        self._clock_offset = offset

    async def _wait(self, read_at: float) -> None:
        """Wait until something happens or the next item is due. `read_at`: when the due items were read; those have
        started, or wait for one that runs."""
        pause = IDLE_TICK_S if self._changes is not None and self._changes.works else TICK_S
        next_due = await self._tools.database.read(work_items.next_due, read_at)
        if next_due is not None:
            pause = min(pause, max(next_due - self._tools.clock(), 0.0))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        self._wake.clear()

    async def _start(self, item: WorkItem) -> None:
        step = step_of(item)
        cancelling = item.wanted == "cancel"
        limit: Limit = "" if cancelling else step.limit
        if limit and self._in_use[limit] >= self._limits[limit]:
            setting = f"resources.{SETTINGS[limit]} = {self._limits[limit]}"
            why = f"waiting for other {limit} to finish ({setting})"
            if item.reason != why:
                self._queued[item.case, item.beam] = why, item.reason
                await self._tools.database.write(work_items.set_reason, item, why)
            return
        why, before = self._queued.pop((item.case, item.beam), ("", ""))
        shown = replace(item, reason=before) if why and why == item.reason else item
        if limit:
            item = await self._shown_as_running(item)
            self._in_use[limit] += 1  # nothing may fail between here and the task that frees the slot
        work = cancel(item, self._tools) if cancelling else PERFORM[step.name](item, self._tools)
        task = asyncio.create_task(self._run(item, shown, work, step.limit_s))
        self._tasks[item.case, item.beam] = task
        self._running[item.case, item.beam] = RunningStep(
            item.case, item.beam, item.step, time.monotonic(), step.limit_s, step.only_polls and not cancelling
        )
        task.add_done_callback(lambda _: self._on_end(item, limit))

    async def _shown_as_running(self, item: WorkItem) -> WorkItem:
        """Remove the reason of the last wait: a step that takes a while is shown as running."""
        if item.status is not Status.WAITING:
            return item
        running = replace(item, status=Status.READY, reason="", advice="", needs_person=False)
        try:
            await self._tools.database.write(work_items.move, item, running, None)
        except work_items.WorkItemChanged:
            return item
        return running

    async def _run(self, item: WorkItem, shown: WorkItem, work: Awaitable[Outcome], limit_s: float) -> None:
        """`shown`: the item before it was shown as running."""
        if shown.status is not Status.WAITING or shown.tries:
            self._tools.emit("step.started", case=item.case, beam=item.beam, step=item.step, attempt=item.tries + 1)
        began = time.monotonic()
        outcome = await guarded(work, limit_s, self._tools.emit)
        self._idle.note(item, outcome)
        event = await outcomes.record(self._tools, self._retry, item, shown, outcome, time.monotonic() - began)
        if event is not None:
            self.changed_at = event.at
            self._listen(event)

    def _on_end(self, item: WorkItem, limit: Limit) -> None:
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
        else:  # an internal error with one item: the others continue, and this one is tried again
            self._tools.emit(
                "step.internal_error", case=item.case, beam=item.beam, step=item.step, error=type(error).__name__
            )
