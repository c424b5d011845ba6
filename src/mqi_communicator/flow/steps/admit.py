"""admit: copy a folder that is unchanged and provably complete to the spool, under an opaque key."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

from sqlalchemy import Connection

from mqi_communicator.case.faults import CpuTimeExceeded, Transient, Unreachable
from mqi_communicator.case.model import Kind, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Wait
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.flow.constancy_due import recorded_due
from mqi_communicator.flow.spool.origin import read_origin, write_origin
from mqi_communicator.flow.tasks import copy_to_spool, examine
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import TIDY
from mqi_communicator.intake.examination import Examination, Incomplete, Rejected
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.scan import FolderScan, scan_folder
from mqi_communicator.store import cases, orders, work_items
from mqi_communicator.store.cases import Case

RECHECK_S = 30.0
AWAY = {  # errors of a mounted share whose server is gone
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT, errno.EREMOTEIO),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNABORTED),
}
EXAMINE_S = 300.0


async def admit(item: WorkItem, tools: Tools) -> Outcome:
    """The spool holds the whole case and its manifest; or the same content is known already, and the case is done."""
    case = await tools.database.read(cases.get, item.case)
    spool = tools.spool(item.case)
    if not spool.manifest.exists():
        seen = await asyncio.to_thread(scan_source, case, tools.intake.max_files)
        if seen is None:
            why = "its folder is missing; the case continues when the folder is back, mqi cancel ends it"
            return Wait(RECHECK_S, why, parked=True)
        unchanged_s = await unchanged_for(case, seen, tools)
        if unchanged_s < tools.intake.settle_s and not item.reason:
            tools.workers.warm_up()
            return Wait(tools.intake.settle_s - unchanged_s, "its files arrived only just now", code="case.incomplete")
        examined = await _examine(case, unchanged_s, tools)
        if isinstance(examined, Incomplete):
            return wait_for(examined, unchanged_s, tools)
        if isinstance(examined, Rejected):
            await tools.database.write(cases.change, item.case, fingerprint=seen.fingerprint)
            raise DicomProblem(examined.reason, examined.advice, examined.code)
        due = await tools.database.read(recorded_due, case.key) if case.constancy else None
        await asyncio.to_thread(write_origin, spool.origin, replace(case, fingerprint=seen.fingerprint), due)
        await tools.workers.run(copy_to_spool, case.source, spool.case, examined)
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


def wait_for(examined: Incomplete, unchanged_s: float, tools: Tools) -> Wait:
    """When to check again. A change in the folder is noticed before that."""
    pause = EXAMINE_S if examined.retry_in_s is None else min(EXAMINE_S, max(0.2, examined.retry_in_s))
    parked = unchanged_s >= max(tools.intake.settle_s, tools.intake.still_s)  # `--once` waits for what ends soon
    return Wait(pause, examined.summary, needs_person=examined.overdue, parked=parked, code="case.incomplete")


def scan_source(case: Case, max_files: int) -> FolderScan | None:
    """The content of the case's folder; None if it is missing. Unreachable while its share does not answer."""
    try:
        return scan_folder(case.source, max_files) if case.source.is_dir() else None
    except OSError as error:
        if error.errno in AWAY:
            raise Unreachable(f"the share of the watched folder does not answer: {error.strerror}") from None
        raise Transient(f"the case folder cannot be listed: {error.strerror}") from None


async def unchanged_for(case: Case, seen: FolderScan, tools: Tools) -> float:
    """For how many seconds the folder has been unchanged. Where changes are not reported, the last scan may be old."""
    now = tools.clock()
    if seen.fingerprint == case.fingerprint and case.changed <= now:  # later than now: the clock was set back
        return now - case.changed
    await tools.database.write(cases.change, case.key, fingerprint=seen.fingerprint, changed=now)
    return 0.0


def _register_as_seen(connection: Connection, key: str, origin: Case | None, manifest: Manifest, now: float) -> Done:
    """Register with the fingerprint at the examination: the next scan then finds whatever has changed since."""
    if origin is not None:
        cases.change(connection, key, fingerprint=origin.fingerprint)
    return register(connection, key, manifest, now)


def register(connection: Connection, key: str, manifest: Manifest, now: float) -> Done:
    """Record whether the case is known already, a new revision of a known plan, or new."""
    cases.change(connection, key, content=manifest.content, lineage=manifest.lineage)
    cases.identify(connection, key, manifest.identity)
    work_items.wake_step(connection, "join", now)  # deliveries that wait for this plan
    facts: dict[str, object] = {"files": len(manifest.files), "bytes": sum(f.size for f in manifest.files)}
    facts |= {"content": manifest.content, "ct_slices": len(manifest.of(Kind.CT)), "set_aside": len(manifest.aside)}
    own = cases.get(connection, key)
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
        _supersede(connection, case, key, revision, now)
    return Done({**facts, "revision": revision})


def has_verdict(case: Case, item: WorkItem) -> bool:
    """Whether a case has a verdict, or will have one. A delivered case has one, even if its tidying failed."""
    ending = bool(item.wanted or case.superseded_by)
    return item.status is Status.DONE or item.step == TIDY or not (item.status.ended or ending)


def _supersede(connection: Connection, old: Case, key: str, revision: int, now: float) -> None:
    if old.superseded_by:
        return
    cases.change(connection, old.key, superseded_by=key)
    if not work_items.get(connection, old.key).status.ended:
        why = f"superseded by revision {revision} ({key})"
        orders.add(connection, at=now, case=old.key, order="cancel", who="mqi", why=why)
