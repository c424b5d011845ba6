"""receive: copy a folder of what machines recorded, unchanged for a while, to the spool, under an opaque key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sqlalchemy import Connection

from mqi_communicator.case.model import CaseKind, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.flow.spool.origin import read_origin, write_origin
from mqi_communicator.flow.steps.admit import RECHECK_S, scan_source, unchanged_for, wait_for
from mqi_communicator.flow.tasks import copy_delivery, examine_delivery
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.examination import Incomplete, Rejected
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case


async def receive(item: WorkItem, tools: Tools) -> Outcome:
    """The spool holds records and logs and their manifest; or the same content is known, and the case is done."""
    case = await tools.database.read(cases.get, item.case)
    spool = tools.spool(item.case)
    if not spool.manifest.exists():
        seen = await asyncio.to_thread(scan_source, case, tools.intake.max_files)
        if seen is None:
            why = "its folder is missing; the case continues when the folder is back, mqi cancel ends it"
            return Wait(RECHECK_S, why, parked=True)
        unchanged_s = await unchanged_for(case, seen, tools)
        if unchanged_s < tools.intake.settle_s:
            return Wait(tools.intake.settle_s - unchanged_s, "its files arrived only just now", code="case.incomplete")
        examined = await tools.workers.run_within(
            tools.intake.case_cpu_s, examine_delivery, case.source, tools.intake, still_for=unchanged_s
        )
        if isinstance(examined, Incomplete):
            return wait_for(examined, unchanged_s, tools)
        if isinstance(examined, Rejected):
            await tools.database.write(cases.change, item.case, fingerprint=seen.fingerprint)
            raise DicomProblem(examined.reason, examined.advice, examined.code)
        await asyncio.to_thread(write_origin, spool.origin, replace(case, fingerprint=seen.fingerprint))
        await tools.workers.run(copy_delivery, case.source, spool.case, examined)
    manifest = await asyncio.to_thread(load_manifest, spool.manifest)
    origin = await asyncio.to_thread(read_origin, spool.origin, item.case)
    return await tools.database.write(register_delivery, item.case, origin, manifest)


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
