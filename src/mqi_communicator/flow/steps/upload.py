"""upload: send the engine's input to a host, verify it there, and publish it by one rename."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from statistics import median

from sqlalchemy import Connection

from mqi_communicator.case.faults import ActionRequired, AtLimit, DiskFull
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.case.request import OtherInput
from mqi_communicator.dose.recipe import AGAIN
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost, HostEstimate, best
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.remote import workspace
from mqi_communicator.store import cases, jobs, work_items

CALL_S = 60.0
SLOWEST = 200e3  # bytes per s: a slower transfer is ended and resumed
DIGEST = 50e6  # bytes per s that sha256sum manages at the very least
GIB = 1 << 30
RECHECK_S = 600.0  # the end of another case makes the first that waits due sooner
FEW_INODES = 1000  # a case needs a few dozen
ASSUMED_JOB_S = 300.0  # where no job was measured yet


async def upload(item: WorkItem, tools: Tools) -> Outcome:
    """`cases/<key>/input/` on a host has every digest of our SHA256SUMS, and each beam has a work item."""
    host = await _choose_host(item.case, tools)
    workspace.read_workspace(await host.guarded.request(workspace.workspace(host.root), deadline=CALL_S))
    source = tools.spool(item.case).input
    sums, size = await asyncio.to_thread(_digest_and_size, source)
    manifest = await asyncio.to_thread(load_manifest, tools.spool(item.case).manifest)
    sent = await _send(item.case, source, sums, size, host, tools)
    await asyncio.to_thread(write_durably, tools.spool(item.case).sent_to, host.name)
    now = tools.clock()
    for number, _name in manifest.beams:
        await tools.database.write(work_items.add_beam, WorkItem(item.case, number, "submit", due=now, since=now))
    return Done({"sent_bytes": size if sent else 0, "input": sums, "host": host.name})


async def _choose_host(key: str, tools: Tools) -> ComputeHost:
    """The host of the case. It is fixed once a beam has started; before that, another may be chosen whenever the host
    does not answer."""
    case = await tools.database.read(cases.get, key)
    if name := await asyncio.to_thread(tools.spool(key).host):  # a beam has started; a restored store may not know
        await tools.database.write(cases.change, key, host=name)
        return await tools.host_of(key)
    begun = len(await tools.database.read(work_items.of_case, key)) > 1
    known = tools.hosts.get(case.host)
    if case.host and (begun or (known is not None and (len(tools.hosts) == 1 or not known.guarded.paused))):
        return await tools.host_of(key)
    manifest = await asyncio.to_thread(load_manifest, tools.spool(key).manifest)
    return tools.hosts[await tools.database.write(_choose, key, len(manifest.beams), tools)]


def _choose(connection: Connection, key: str, beams: int, tools: Tools) -> str:
    """Count and choose in one transaction, so that no two cases get the last slot. A case that has a host is counted
    already and may always be sent: its call may be the one that finds the host back."""
    limit = tools.resources.cases
    if not cases.get(connection, key).host and (uploaded := cases.count_on_hosts(connection, but=key)) >= limit:
        why = f"waiting to be uploaded: {uploaded} cases are on hosts already (resources.cases = {limit})"
        raise AtLimit(why, retry_in=RECHECK_S)
    name = best([_estimate(connection, host) for host in tools.hosts.values()], beams)
    cases.change(connection, key, host=name)
    return name


def _estimate(connection: Connection, host: ComputeHost) -> HostEstimate:
    measured = jobs.durations(connection, host.name)
    return HostEstimate(
        name=host.name,
        paused=host.guarded.paused,
        slots=host.width,
        busy=len(jobs.active(connection, host.name)),
        waiting=len(jobs.queued(connection, host.name)),
        job_s=median(measured) if measured else ASSUMED_JOB_S,
    )


def _digest_and_size(folder: Path) -> tuple[str, int]:
    sums = hashlib.sha256((folder / workspace.SUMS).read_bytes()).hexdigest()
    return sums, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def _send(key: str, source: Path, sums: str, size: int, host: ComputeHost, tools: Tools) -> bool:
    """Whether anything had to be sent."""
    remote, root = host.guarded, host.root
    try:
        if workspace.read_settled(await remote.request(workspace.settled(root, key, sums), deadline=CALL_S)):
            return False
    except OtherInput:
        await _remove_unused(key, host, tools)
    free = workspace.read_space(await remote.request(workspace.space(root), deadline=CALL_S))
    _check_space(free, size, host, tools.resources.remote_free_gib)
    await remote.send(source, root, key, deadline=120 + size / SLOWEST)
    workspace.read_settle(await remote.request(workspace.settle(root, key, sums), deadline=60 + size / DIGEST))
    return True


async def _remove_unused(key: str, host: ComputeHost, tools: Tools) -> None:
    """Remove an input that was prepared for another configuration. ActionRequired if a job may have used it: its dose
    would count as one of the current configuration. A restored store may not know the job."""
    begun = [job for job in await tools.database.read(jobs.of_case, key) if job.state != jobs.WANTED]
    asked = await host.guarded.request(workspace.runs(host.root, key), deadline=CALL_S)
    if begun or workspace.read_runs(asked):
        raise ActionRequired(f"its jobs on {host.name} were started with another input than the current one", AGAIN)
    workspace.read_removed(await host.guarded.request(workspace.remove(host.root, key), deadline=CALL_S))


def _check_space(space: workspace.FreeSpace, size: int, host: ComputeHost, spare_gib: float) -> None:
    advice = f"free space below {host.root} on {host.name}"
    if space.free_bytes - size < spare_gib * GIB:
        raise DiskFull(
            f"the case needs {size / GIB:.2f} GiB on {host.name}, {space.free_bytes / GIB:.1f} GiB are free (by "
            f"{space.bound_by}), and {spare_gib:g} GiB must stay free (resources.remote_free_gib)",
            advice,
        )
    if space.free_inodes is not None and space.free_inodes < FEW_INODES:
        raise DiskFull(f"{host.name} has {space.free_inodes} inodes left (by {space.bound_by})", advice)
