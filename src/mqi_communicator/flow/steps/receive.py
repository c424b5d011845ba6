"""receive: copy a folder of what machines recorded, unchanged for a while, to the spool, under an opaque key."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from mqi_communicator.case.model import CaseKind, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.flow.spool.origin import read_origin
from mqi_communicator.flow.steps.arrived import examine_arrived
from mqi_communicator.flow.tasks import copy_delivery, examine_delivery
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.examination import Examination
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case


async def receive(item: WorkItem, tools: Tools) -> Outcome:
    """The spool holds records and logs and their manifest; or the same content is known, and the case is done."""
    case = await tools.database.read(cases.get, item.case)
    spool = tools.spool(item.case)
    if not spool.manifest.exists():
        found = await examine_arrived(case, tools, _examine, settled=False)
        if isinstance(found, Wait):
            return found
        await tools.workers.run(copy_delivery, case.source, spool.case, found)
    manifest = await asyncio.to_thread(load_manifest, spool.manifest)
    origin = await asyncio.to_thread(read_origin, spool.origin, item.case)
    return await tools.database.write(register_delivery, item.case, origin, manifest)


async def _examine(case: Case, unchanged_s: float, tools: Tools) -> Examination:
    limit = tools.intake.case_cpu_s
    return await tools.workers.run_within(limit, examine_delivery, case.source, tools.intake, still_for=unchanged_s)


def register_delivery(connection: Connection, key: str, origin: Case | None, manifest: Manifest) -> Done:
    """Record whether the content is known already. With the fingerprint at the examination, as `admit`."""
    if origin is not None:
        cases.change(connection, key, fingerprint=origin.fingerprint)
    cases.change(connection, key, content=manifest.content)
    facts: dict[str, object] = {"files": len(manifest.files), "bytes": sum(file.size for file in manifest.files)}
    facts |= {"content": manifest.content}
    for same in cases.with_content(connection, manifest.content, but=key, kind=CaseKind.DELIVERY):
        if work_items.get(connection, same.key).status not in (Status.CANCELLED, Status.FAILED):
            cases.change(connection, key, same_as=same.key)
            return Done({**facts, "same_as": same.key}, last=True)
    return Done(facts)
