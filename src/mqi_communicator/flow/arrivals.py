"""What lies in the watched folder becomes cases: new folders, changed ones, and those that have gone."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from mqi_communicator.case.model import CASE_LINE, Event, Line, Status, new_key
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.scan import Survey, survey
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case


async def look(folders: list[Path], tools: Tools) -> int:
    """Note each folder that is new or has changed; returns how many were. Never touches the folders."""
    known = await tools.database.read(cases.latest_by_source)
    news = 0
    for folder, seen in await asyncio.to_thread(_survey_all, folders, tools.intake.max_files):
        case = known.get(folder)
        if case is None:
            await _note(folder, seen, tools)
        elif case.fingerprint == seen.fingerprint:
            continue
        else:
            await _changed(case, seen, tools)
        news += 1
    return news


def _survey_all(folders: list[Path], max_files: int) -> list[tuple[Path, Survey]]:
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):  # it went away while we looked; the next look tells
            found.append((folder, survey(folder, max_files)))
    return found


async def _note(folder: Path, seen: Survey, tools: Tools) -> None:
    now = tools.clock()
    case = Case(key=new_key(), source=folder, seen=now, fingerprint=seen.fingerprint, changed=now, rank=now)
    line = Line(case.key, CASE_LINE, "admit", due=now, since=now)
    await tools.database.write(_add, case, line)
    tools.ear("case.seen", case=case.key, files=seen.count, bytes=seen.bytes)


def _add(connection, case: Case, line: Line) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a connection
    cases.add(connection, case)
    work_items.add(connection, line, Event(line.since, line.case, line.beam, "case.seen", line.step, "", line.status))


async def _changed(case: Case, seen: Survey, tools: Tools) -> None:
    """Before admission the same case is looked at again; after it, new content is a new revision of its own."""
    line = await tools.database.read(work_items.get, case.key)
    if line.step != "admit" or line.wanted or line.status in (Status.DONE, Status.CANCELLED):
        await _note(case.source, seen, tools)
        return
    now = tools.clock()
    await tools.database.write(cases.change, case.key, fingerprint=seen.fingerprint, changed=now)
    if line.status is Status.FAILED:
        again = Line(line.case, line.beam, line.step, due=now, since=now)
        event = Event(now, line.case, line.beam, "case.changed", line.step, line.status, again.status)
        with contextlib.suppress(work_items.LineMoved):  # an order was quicker: the case is on its way already
            await tools.database.write(work_items.move, line, again, event)
    else:
        await tools.database.write(work_items.poke, case.key, CASE_LINE, now)
