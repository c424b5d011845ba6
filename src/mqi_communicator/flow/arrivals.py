"""Register the case folders of the watched folder: new ones and changed ones."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Status, WorkItem, new_key
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.scan import FolderScan, scan_folder
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case

FIRST_STEP = {CaseKind.PLAN: "admit", CaseKind.DELIVERY: "receive"}


async def register_arrivals(folders: list[Path], tools: Tools, kind: CaseKind = CaseKind.PLAN) -> list[Path]:
    """Register each folder that is new or has changed; returns those. Never changes the folders."""
    known = await tools.database.read(cases.latest_by_source, folders)
    changed = []
    for folder, seen in await asyncio.to_thread(_scan_all, folders, tools.intake.max_files):
        case = known.get(folder)
        if case is None:
            await _new_case(folder, seen, tools, kind)
        elif case.fingerprint == seen.fingerprint:
            continue
        else:
            await _changed(case, seen, tools, kind)
        changed.append(folder)
    return changed


def _scan_all(folders: list[Path], max_files: int) -> list[tuple[Path, FolderScan]]:
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):  # it was removed meanwhile; the next scan finds out
            found.append((folder, scan_folder(folder, max_files)))
    return found


async def _new_case(folder: Path, seen: FolderScan, tools: Tools, kind: CaseKind) -> None:
    now = tools.clock()
    case = Case(key=new_key(), source=folder, seen=now, fingerprint=seen.fingerprint, changed=now, rank=now, kind=kind)
    item = WorkItem(case.key, CASE_ITEM, FIRST_STEP[kind], due=now, since=now)
    await tools.database.write(_add, case, item)
    tools.emit("case.seen", case=case.key, files=seen.count, bytes=seen.bytes)


def _add(connection, case: Case, item: WorkItem) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a connection
    cases.add(connection, case)
    work_items.add(connection, item, Event(item.since, item.case, item.beam, "case.seen", item.step, "", item.status))


async def _changed(case: Case, seen: FolderScan, tools: Tools, kind: CaseKind) -> None:
    """Before admission, the same case is checked again; after it, new content becomes a case of its own."""
    item = await tools.database.read(work_items.get, case.key)
    if item.step != FIRST_STEP[kind] or item.wanted or item.status in (Status.DONE, Status.CANCELLED):
        await _new_case(case.source, seen, tools, kind)
        return
    now = tools.clock()
    await tools.database.write(cases.change, case.key, fingerprint=seen.fingerprint, changed=now)
    if item.status is Status.FAILED:
        again = WorkItem(item.case, item.beam, item.step, due=now, since=now)
        event = Event(now, item.case, item.beam, "case.changed", item.step, item.status, again.status)
        with contextlib.suppress(work_items.WorkItemChanged):  # an order has moved it already
            await tools.database.write(work_items.move, item, again, event)
    else:
        await tools.database.write(work_items.wake, case.key, CASE_ITEM, now)
