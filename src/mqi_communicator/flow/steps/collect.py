"""collect: fetch what the job wrote, and verify it against the digests that the job made."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent, Transient
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.dose.log_excerpt import LOG_BYTES
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.spent import run_after_spent
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs
from mqi_communicator.system.durable import make_folder, sync_tree

LOG = "log"
GIB = 1 << 30
_LEFT_OUT = re.compile(r"^mqi-cut (\d{1,18})$", re.MULTILINE | re.ASCII)  # bytes, between the beginning and the end


async def collect(item: WorkItem, tools: Tools) -> Outcome:
    """The spool's `back/<token>/` holds the log and every product, each with the digest that the job made of it."""
    if later := await run_after_spent(item, tools):
        return later
    row = await tools.database.read(jobs.get, item.token)
    if row is None or not row.products:
        raise Permanent("the job left no list of products", "mqi retry computes the beam again")
    target = tools.spool(item.case).back(item.token)
    size = sum(size for size, _digest in row.products.values())
    largest = max(LOG_BYTES, *(size for size, _digest in row.products.values()))
    await asyncio.to_thread(_check_space, target, size + largest, tools.resources.local_free_gib)
    host = await tools.host_of(item.case)
    await host.guarded.fetch(
        host.root, item.token, target, names=(*row.products, LOG), largest=largest, deadline=120 + size / 200e3
    )
    if not await asyncio.to_thread((target / LOG).exists):
        raise await _log_too_long(target / LOG, item, host, largest)
    if wrong := await asyncio.to_thread(_first_difference, target, row.products):
        # rsync skips a file of the right size and time: remove what is wrong
        await asyncio.to_thread(shutil.rmtree, target)
        raise Transient(wrong, "if this repeats, a disk of this machine or of the host may be failing")
    await asyncio.to_thread(sync_tree, target)  # once the step is done, nothing is fetched again
    return Done({"fetched_bytes": size, "products": {name: digest for name, (_size, digest) in row.products.items()}})


def _check_space(target: Path, size: int, spare_gib: float) -> None:
    """Check the free space. Removes the shortened log that an earlier try may have kept."""
    make_folder(target)
    (target / LOG).unlink(missing_ok=True)
    free = shutil.disk_usage(target).free
    if free - size < spare_gib * GIB:
        raise DiskFull(
            f"the results need {size / GIB:.1f} GiB, {free / GIB:.1f} GiB are free here, and {spare_gib:g} GiB must "
            "stay free (resources.local_free_gib)",
            "free space on the disk of paths.workspace",
        )


async def _log_too_long(log: Path, item: WorkItem, host: ComputeHost, largest: int) -> Permanent:
    """Store the beginning and end of the log, as the poll returns them, for people to read."""
    seen = (await host.poller.poll(item.token))[item.token]
    await asyncio.to_thread(log.write_text, seen.log_tail, "utf-8")
    left_out = _LEFT_OUT.search(seen.log_tail)
    size = f"{int(left_out[1]) >> 20} MiB or more" if left_out else f"more than {largest >> 20} MiB"
    return Permanent(
        f"the job's log on {host.name} has {size}, and the limit is {largest >> 20} MiB",
        "read its beginning and end, which are kept in the spool; make the engine or the site's own steps print less; "
        "mqi retry computes the beam again",
    )


def _first_difference(target: Path, products: Mapping[str, tuple[int, str]]) -> str:
    for name, (size, digest) in products.items():
        if not (target / name).exists():
            return f"{name} was {size} bytes when the job ended, and is larger on the host now"
        found = digest_of(target / name)
        if found != digest:
            return f"{name} ({size} bytes) has digest {found[:16]}… here and {digest[:16]}… on the host"
    return ""
