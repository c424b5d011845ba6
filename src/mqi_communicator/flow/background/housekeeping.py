"""Remove from hosts what ended cases have left: only below our own workspace, only cases of this store."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import CASE_ITEM, Status
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.tidy import remove_from
from mqi_communicator.flow.tools import Tools
from mqi_communicator.remote import workspace
from mqi_communicator.store import jobs, work_items

CALL_S = 120.0
OVER = ("ended", "lost", "barred", jobs.WANTED)


async def tidy_hosts(tools: Tools) -> int:
    """Remove what ended cases left on each host, the failed ones after `resources.remote_keep_days`; returns how many.

    A host that does not answer is tidied another time.
    """
    removed = 0
    for host in tools.hosts.values():
        try:
            removed += await _tidy(host, tools)
        except Fault as fault:
            tools.emit("housekeeping.deferred", host=host.name, why=fault.reason)
    return removed


async def _tidy(host: ComputeHost, tools: Tools) -> int:
    ages = workspace.read_left(await host.guarded.request(workspace.left(host.root), deadline=CALL_S))
    if not ages:
        return 0
    states = await tools.database.read(_states, list(ages))
    gone = [key for key, days in ages.items() if _may_go(states.get(key), days, tools.resources.remote_keep_days)]
    for key in gone:
        await remove_from(host, key, tools)
        tools.emit("housekeeping.removed", host=host.name, case=key, days=ages[key])
    return len(gone)


def _states(connection: Connection, keys: Iterable[str]) -> dict[str, tuple[Status, bool]]:
    """For the cases that this store knows: the status of each, and whether all of its jobs are known to be over."""
    found: dict[str, tuple[Status, bool]] = {}
    for key, family in work_items.of_cases(connection, keys).items():
        own = next((item for item in family if item.beam == CASE_ITEM), None)
        if own is not None:
            quiet = all(not job.active and job.state in OVER for job in jobs.of_case(connection, key))
            found[key] = (own.status, quiet)
    return found


def _may_go(state: tuple[Status, bool] | None, days: int, keep_days: int) -> bool:
    if state is None or not state[1]:  # of another store, or a job of it may still be running
        return False
    status = state[0]
    if status in (Status.DONE, Status.CANCELLED):
        return days >= 1
    return status is Status.FAILED and days >= keep_days
