"""What the outcome of a step changes: decided, and recorded in the store."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from mqi_communicator.case.faults import Fault, Permanent
from mqi_communicator.case.model import Event, WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow.options import RetryOptions
from mqi_communicator.flow.steps.table import next_step
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import decide
from mqi_communicator.flow.transitions.record import record_outcome
from mqi_communicator.store import work_items
from mqi_communicator.store.database import StoreUnavailable

STORE_RETRY_S = 5.0
REPORT = "report this with the log; mqi retry tries again, for example after an update"


async def record(
    tools: Tools, retry: RetryOptions, item: WorkItem, shown: WorkItem, outcome: Outcome | Fault, seconds: float
) -> Event | None:
    """Record the outcome of a step that took `seconds`. `shown`: the item before it was shown as running.

    Returns the event; None if nothing changed that a user sees, or if an order changed the item meanwhile. An outcome
    that cannot be recorded fails the item: its step would only be repeated, at once and without end.
    """
    try:
        return await _record(tools, retry, item, shown, outcome, seconds)
    except Fault:  # of the store
        raise
    except Exception as error:  # noqa: BLE001 - an internal error with one item must not cost the others their turn
        name = type(error).__name__
        tools.emit("step.internal_error", case=item.case, beam=item.beam, step=item.step, error=name)
        failed = Permanent(f"internal error: the outcome of the step cannot be recorded ({name})", REPORT)
        return await _record(tools, retry, item, shown, failed, seconds)


async def _record(
    tools: Tools, retry: RetryOptions, item: WorkItem, shown: WorkItem, outcome: Outcome | Fault, seconds: float
) -> Event | None:
    chance = random.random()  # noqa: S311 - jitter
    moved, event = decide(item, outcome, tools.clock(), after=next_step(item), retry=retry, chance=chance)
    event = replace(event, facts=dict(event.facts) | {"took_s": round(seconds, 3)})
    # A poll that finds the same as the last one updates the item, and adds no event.
    changed = (moved.status, moved.step, moved.reason) != (shown.status, shown.step, shown.reason)
    try:
        await _save(tools, item, moved, event if changed else None, outcome)
    except work_items.WorkItemChanged:
        tools.emit("step.discarded", case=item.case, beam=item.beam, step=item.step)
        return None
    return event if changed else None


async def _save(tools: Tools, item: WorkItem, moved: WorkItem, event: Event | None, outcome: Outcome | Fault) -> None:
    """Retry while the store cannot be written: an outcome is not lost."""
    while True:
        try:
            await tools.database.write(record_outcome, item, moved, event, outcome)
        except StoreUnavailable as trouble:
            tools.emit("database.error", why=trouble.reason)
            await asyncio.sleep(STORE_RETRY_S)
        else:
            return
