"""Prepare cases again whose input does not suit the configuration, or whose longer run a restored store has lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.dose.recipe import changes, job_changes
from mqi_communicator.flow.recovery.deliveries import BEFORE_DELIVERY
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions.decide import COMPARE, EXTENDED, FIRST_BEAM_STEP, PREPARE, UPLOAD, extended
from mqi_communicator.store import audit, cases, jobs, work_items

PREPARED_AGAIN = "case.prepared_again"
EXTENDED_BEFORE = "the longer run was ordered before, and is missing from the restored store"
EXTEND = "extend"


async def cases_with_other_recipe(tools: Tools) -> list[tuple[str, str]]:
    """Cases whose input was made for another configuration, and the differences."""
    found = []
    for item in await tools.database.read(undelivered):
        if item.step in (UPLOAD, COMPARE) and not item.status.ended:
            made_with = await asyncio.to_thread(tools.spool(item.case).made_with)
            changed = (*changes(made_with, tools.preparer), *job_changes(made_with, tools.preparer))
            found += [(item.case, "; ".join(changed))] if changed else []
    return found


def prepare_again(connection: Connection, key: str, why: str, now: float) -> bool:
    """Prepare the input again unless a beam has started; the beams wait for it."""
    own, *beams = work_items.of_case(connection, key)
    submitted = [job for job in jobs.of_case(connection, key) if job.state != jobs.WANTED]
    started = [beam for beam in beams if beam.step != FIRST_BEAM_STEP or beam.status.ended]
    if submitted or started or (own.step == COMPARE and not beams):
        return False
    status = Status.HELD if own.status is Status.HELD else Status.READY
    moved = replace(own, step=PREPARE, status=status, due=now, since=now, tries=0, reason="", advice="")
    event = Event(now, key, CASE_ITEM, PREPARED_AGAIN, own.step, own.status, f"{PREPARE}/{status}", "mqi", why)
    work_items.move(connection, own, replace(moved, needs_person=False), event)
    return True


async def lost_extensions(tools: Tools) -> list[tuple[WorkItem, str]]:
    """Cases whose longer run was ordered without the store knowing, and its declaration."""
    found = []
    for item in await tools.database.read(work_items.undone_cases):
        note = tools.spool(item.case).extension
        if item.step == EXTEND or not await asyncio.to_thread(note.is_file):
            continue  # the step itself repeats the order
        history = await tools.database.read(audit.history, item.case)
        if not any(one.name == EXTENDED for one in history):
            found.append((item, await asyncio.to_thread(note.read_text, encoding="utf-8")))
    return found


def extend_again(connection: Connection, own: WorkItem, text: str, now: float) -> None:
    """As when it was ordered: prepare the input again; each beam gets its next run. The earlier runs have ended."""
    cases.change(connection, own.case, extension=text)
    for job in jobs.of_case(connection, own.case):
        if job.active:
            jobs.change(connection, job.token, active=False, state="ended")
    for item in work_items.of_case(connection, own.case):
        again = extended(item, own, EXTENDED_BEFORE, now)
        if item.beam == CASE_ITEM:
            again = replace(again, step=PREPARE, run=item.run, base_run=item.base_run)
        if own.status is Status.HELD:
            again = replace(again, status=Status.HELD)
        after = f"{again.step}/{again.status}"
        event = Event(now, item.case, item.beam, EXTENDED, item.step, item.status, after, "mqi", EXTENDED_BEFORE)
        work_items.move(connection, item, again, event)


def undelivered(connection: Connection) -> list[WorkItem]:
    """The items of cases that are not delivered, as far as the store knows, and are not being cancelled."""
    return [item for item in work_items.undone_cases(connection) if item.step in BEFORE_DELIVERY]
