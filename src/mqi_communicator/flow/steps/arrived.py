"""What `admit` and `receive` share: a folder that has arrived is examined once it is unchanged."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mqi_communicator.case.faults import Transient, Unreachable
from mqi_communicator.case.outcome import Wait
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.flow.constancy_due import recorded_due
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.examination import Complete, Examination, Incomplete, Rejected
from mqi_communicator.intake.scan import FolderScan, scan_folder
from mqi_communicator.store import cases
from mqi_communicator.store.cases import Case

RECHECK_S = 30.0
EXAMINE_S = 300.0
AWAY = {  # errors of a mounted share whose server is gone
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT, errno.EREMOTEIO),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNABORTED),
}

Examine = Callable[[Case, float, Tools], Awaitable[Examination]]


async def examine_arrived(case: Case, tools: Tools, examine: Examine, *, settled: bool) -> Complete | Wait:
    """What to copy of the folder of a case, whose origin is recorded in the spool then; or what it waits for.

    `settled`: it need not be unchanged for `intake.settle_s` any more. DicomProblem if it is rejected.
    """
    seen = await asyncio.to_thread(_scan, case, tools.intake.max_files)
    if seen is None:
        why = "its folder is missing; the case continues when the folder is back, mqi cancel ends it"
        return Wait(RECHECK_S, why, parked=True)
    unchanged_s = await _unchanged_for(case, seen, tools)
    if unchanged_s < tools.intake.settle_s and not settled:
        tools.workers.warm_up()
        return Wait(tools.intake.settle_s - unchanged_s, "its files arrived only just now", code="case.incomplete")
    examined = await examine(case, unchanged_s, tools)
    if isinstance(examined, Incomplete):
        return _wait(examined, unchanged_s, tools)
    if isinstance(examined, Rejected):
        await tools.database.write(cases.change, case.key, fingerprint=seen.fingerprint)
        raise DicomProblem(examined.reason, examined.advice, examined.code)
    due = await tools.database.read(recorded_due, case.key) if case.constancy else None
    known = replace(case, fingerprint=seen.fingerprint)
    await asyncio.to_thread(write_origin, tools.spool(case.key).origin, known, due)
    return examined


def _wait(examined: Incomplete, unchanged_s: float, tools: Tools) -> Wait:
    """When to check again. A change in the folder is noticed before that."""
    pause = EXAMINE_S if examined.retry_in_s is None else min(EXAMINE_S, max(0.2, examined.retry_in_s))
    parked = unchanged_s >= max(tools.intake.settle_s, tools.intake.still_s)  # `--once` waits for what ends soon
    return Wait(pause, examined.summary, needs_person=examined.overdue, parked=parked, code="case.incomplete")


def _scan(case: Case, max_files: int) -> FolderScan | None:
    """The content of the case's folder; None if it is missing. Unreachable while its share does not answer."""
    try:
        return scan_folder(case.source, max_files) if case.source.is_dir() else None
    except OSError as error:
        if error.errno in AWAY:
            raise Unreachable(f"the share of the watched folder does not answer: {error.strerror}") from None
        raise Transient(f"the case folder cannot be listed: {error.strerror}") from None


async def _unchanged_for(case: Case, seen: FolderScan, tools: Tools) -> float:
    """For how many seconds the folder has been unchanged. Where changes are not reported, the last scan may be old."""
    now = tools.clock()
    if seen.fingerprint == case.fingerprint and case.changed <= now:  # later than now: the clock was set back
        return now - case.changed
    await tools.database.write(cases.change, case.key, fingerprint=seen.fingerprint, changed=now)
    return 0.0
