"""At each start: compare the store with the spool and the results folder, and recover what the store has lost.

A store restored from a backup is out of date:

- an order in effect (cancel or retry, hold or release, priority) is applied again;
- a case in the spool gets its work item again, under its old key;
- a longer run that was ordered is ordered again;
- a signature beside delivered results is recorded again;
- a case whose results were delivered is closed and not computed again. A delivered folder that does not match its
  manifest is only reported; that case continues as the store has it.

Hosts need nothing here: a job's token follows from the case key, so that `submit` finds the job that already owns the
token and follows it.

In addition, cases whose input was written under another configuration (another engine, beam model or curve) are
prepared again, if no beam of theirs has started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault
from mqi_communicator.flow.recovery.cases import lost_cases, orders_in_effect, readmit, reapply_orders
from mqi_communicator.flow.recovery.deliveries import (
    DELIVERY_RECOVERED,
    close_case,
    perhaps_delivered,
    recovered_delivery,
)
from mqi_communicator.flow.recovery.inputs import (
    PREPARED_AGAIN,
    cases_with_other_recipe,
    extend_again,
    lost_extensions,
    prepare_again,
)
from mqi_communicator.flow.recovery.signatures import SIGNATURE_RECOVERED, recover_signatures
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, history, jobs, orders


@dataclass(frozen=True, slots=True)
class StartupSummary:
    """The state at the start."""

    cases: Mapping[str, int]  # status -> cases
    jobs: int  # jobs that hold a job slot of any host
    orders: int  # not applied yet: given while no communicator was running, or left by a crash
    readmitted: int  # cases in the spool that the store had lost
    delivered: int  # cases whose delivered results, or whose latest judgement, the store had lost
    mismatched: int  # cases whose delivered results could not be verified; they continue as the store has them


async def reconcile(tools: Tools) -> StartupSummary:
    """Recover what the store has lost, and summarize the state. Idempotent.

    Two faults stop the start: ActionRequired if the orders.json of any case in the spool is damaged, and Permanent if
    the manifest of a case that the store has lost is damaged."""
    known = await tools.database.read(cases.keys)
    ordered = await asyncio.to_thread(orders_in_effect, tools.workspace / "spool")
    # first, so that a lost case with the same content as a cancelled one is not taken for its duplicate
    for key in sorted(known & ordered.keys()):
        _emit_reapplied(key, await tools.database.write(reapply_orders, ordered[key], tools, tools.clock()), tools)
    lost = await asyncio.to_thread(lost_cases, tools.workspace / "spool", known, ordered)
    for case, manifest in lost:
        again = await tools.database.write(readmit, case, manifest, ordered.get(case.key, ()), tools, tools.clock())
        tools.emit("case.readmitted", case=case.key)
        _emit_reapplied(case.key, again, tools)
    for key, why in await cases_with_other_recipe(tools):
        if await tools.database.write(prepare_again, key, why, tools.clock()):
            tools.emit(PREPARED_AGAIN, case=key, why=why)
    for item, text in await lost_extensions(tools):
        await tools.database.write(extend_again, item, text, tools.clock())
        tools.emit("case.extension_recovered", case=item.case)
    delivered = unverified = 0
    for item in await perhaps_delivered(tools):
        try:
            delivery = await recovered_delivery(item, tools)
        except Fault as fault:
            unverified += 1
            tools.emit("results.mismatch", case=item.case, why=fault.reason)
            continue
        if delivery is not None:
            await tools.database.write(close_case, item, delivery, tools.clock())
            tools.emit(DELIVERY_RECOVERED, case=item.case)
            delivered += 1
    for key in await recover_signatures(tools):
        tools.emit(SIGNATURE_RECOVERED, case=key)
    counts, active, waiting = await tools.database.read(_cases_jobs_orders)
    return StartupSummary(counts, active, waiting, len(lost), delivered, unverified)


def _emit_reapplied(case: str, reapplied: Sequence[str], tools: Tools) -> None:
    for order in reapplied:
        tools.emit("order.recovered", case=case, order=order)


def _cases_jobs_orders(connection: Connection) -> tuple[dict[str, int], int, int]:
    return history.counts(connection, 0.0), jobs.count_active(connection), len(orders.pending(connection))
