"""admit: copy a folder that is unchanged and provably complete to the spool, under an opaque key."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from mqi_communicator.case.faults import CpuTimeExceeded
from mqi_communicator.case.model import Kind, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.flow.spool.origin import read_origin
from mqi_communicator.flow.steps.arrived import examine_arrived
from mqi_communicator.flow.tasks import copy_to_spool, examine
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import TIDY
from mqi_communicator.flow.transitions.supersede import supersede
from mqi_communicator.intake.examination import Examination, Rejected
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import wake_waiting


async def admit(item: WorkItem, tools: Tools) -> Outcome:
    """The spool holds the whole case and its manifest; or the same content is known already, and the case is done."""
    case = await tools.database.read(cases.get, item.case)
    spool = tools.spool(item.case)
    if not spool.manifest.exists():
        found = await examine_arrived(case, tools, _examine, settled=bool(item.reason))
        if isinstance(found, Wait):
            return found
        await tools.workers.run(copy_to_spool, case.source, spool.case, found)
    manifest = await asyncio.to_thread(load_manifest, spool.manifest)
    origin = await asyncio.to_thread(read_origin, spool.origin, item.case)
    return await tools.database.write(_register_as_seen, item.case, origin, manifest, tools.clock())


async def _examine(case: Case, unchanged_s: float, tools: Tools) -> Examination:
    limit = tools.intake.case_cpu_s
    try:
        return await tools.workers.run_within(
            limit, examine, case.source, tools.intake, tools.preparer.refusals, still_for=unchanged_s
        )
    except CpuTimeExceeded:
        return Rejected(
            f"checking the files of the case took more than {limit:g} s of processor time",
            "Put one case into one folder and check where its files come from; raise intake.case_cpu_s if cases of "
            "your centre take that long.",
            "case.too_slow",
        )


def _register_as_seen(connection: Connection, key: str, origin: Case | None, manifest: Manifest, now: float) -> Done:
    """Register with the fingerprint at the examination: the next scan then finds whatever has changed since."""
    if origin is not None:
        cases.change(connection, key, fingerprint=origin.fingerprint)
    return register(connection, key, manifest, now)


def register(connection: Connection, key: str, manifest: Manifest, now: float) -> Done:
    """Record whether the case is known already, a new revision of a known plan, or new."""
    cases.change(connection, key, content=manifest.content, lineage=manifest.lineage)
    cases.identify(connection, key, manifest.identity)
    facts: dict[str, object] = {"files": len(manifest.files), "bytes": sum(f.size for f in manifest.files)}
    facts |= {"content": manifest.content, "ct_slices": len(manifest.of(Kind.CT)), "set_aside": len(manifest.aside)}
    own = cases.get(connection, key)
    wake_waiting(connection, own.patient_id, now)
    if own.constancy:  # its content is always the same, and it is no duplicate or revision of a patient's case
        return Done({**facts, "constancy": own.constancy})
    if own.superseded_by:  # the process was stopped between this line and the next
        return Done(facts)
    for same in cases.with_content(connection, manifest.content, but=key):
        if has_verdict(same, work_items.get(connection, same.key)):
            cases.change(connection, key, same_as=same.key)
            return Done({**facts, "same_as": same.key}, last=True)
    older = cases.of_lineage(connection, manifest.lineage, but=key)
    revision = 1 + max((case.revision for case in older), default=0)
    cases.change(connection, key, revision=revision)
    for case in older:
        supersede(connection, case, key, f"superseded by revision {revision} ({key})", now)
    return Done({**facts, "revision": revision})


def has_verdict(case: Case, item: WorkItem) -> bool:
    """Whether a case has a verdict, or will have one. A delivered case has one, even if its tidying failed."""
    ending = bool(item.wanted or case.superseded_by)
    return item.status is Status.DONE or item.step == TIDY or not (item.status.ended or ending)
