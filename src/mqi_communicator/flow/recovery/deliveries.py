"""Close cases whose results were delivered before the store was restored: nothing of them is computed again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.delivery.folder import delivered_results
from mqi_communicator.flow.spool.decisions import ended_of
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.delivered_verdict import read_verdict
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.flow.transitions.judgements import JUDGEMENT_RECOVERED
from mqi_communicator.store import audit, cases, jobs, signatures, work_items

DELIVERY_RECOVERED = "case.delivery_recovered"
BEFORE_DELIVERY = ("admit", "reconstruct", "prepare", "upload", "compare", "judge")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The delivered results of one case."""

    folder: Path
    manifest: Mapping[str, object]
    digest: str
    word: str
    why: str
    judgement: int  # counted from 1


async def recovered_delivery(item: WorkItem, tools: Tools) -> Delivered | None:
    """The results that close a case: those of the judgement under way or of a later one, or, if they were moved away,
    what the spool records of them. None if the store knows all that was delivered."""
    ended = await asyncio.to_thread(ended_of, tools.spool(item.case))
    under_way = item.step in BEFORE_DELIVERY and item.status is not Status.DONE
    if not under_way and (ended is None or ended.judgement == 1):
        return None
    number = await tools.database.read(_judgement, item.case)
    later = ended is not None and ended.judgement > number
    if not under_way and not later:
        return None
    last = ended.judgement if ended is not None and later else number
    delivery = await asyncio.to_thread(_delivered, tools.results, item.case, judgements.folder(item.case, last), last)
    if delivery is None and ended is not None and ended.judgement == last:
        return Delivered(Path(ended.results), {}, "", ended.word, ended.why, last)
    return delivery


def close_case(connection: Connection, own: WorkItem, delivery: Delivered, now: float) -> None:
    """Close a case with its delivered results: every job that made them has ended."""
    why = "its results were delivered before"
    for number in range(1 + _judgement(connection, own.case), 1 + delivery.judgement):
        judged = f"judgement {number} was delivered before"
        facts: dict[str, object] = {"judgement": number}
        event = Event(now, own.case, CASE_ITEM, JUDGEMENT_RECOVERED, own.step, own.status, own.status, why=judged)
        audit.append(connection, replace(event, facts=facts))
    for job in jobs.of_case(connection, own.case):
        if job.active:
            jobs.change(connection, job.token, active=False, state="ended")
    for item in work_items.of_case(connection, own.case):
        if item.beam == CASE_ITEM:
            moved = replace(item, step="tidy", status=Status.READY)
        elif item.status is not Status.DONE:
            moved = replace(item, status=Status.DONE)
        else:
            continue
        moved = replace(moved, due=now, since=now, tries=0, reason="", advice="", needs_person=False)
        facts = {"manifest": delivery.digest} if item.beam == CASE_ITEM else {}
        after = f"{moved.step}/{moved.status}"
        event = Event(now, item.case, item.beam, DELIVERY_RECOVERED, item.step, item.status, after, "mqi", why, facts)
        work_items.move(connection, item, moved, event)
    cases.change(connection, own.case, word=delivery.word, why=delivery.why)
    signatures.open_case(connection, own.case, str(delivery.folder))


async def perhaps_delivered(tools: Tools) -> list[WorkItem]:
    """The items of cases that `recovered_delivery` may close: those that are not delivered, as far as the store knows,
    and those of which the spool records a later judgement than the first. None that is cancelled, or being so."""
    again = await asyncio.to_thread(_judged_again, tools.workspace / "spool")
    return await tools.database.read(_undelivered_or, again)


def _undelivered_or(connection: Connection, keys: Sequence[str]) -> list[WorkItem]:
    undone = [item for item in work_items.undone_cases(connection) if item.step in BEFORE_DELIVERY]
    known = {item.case for item in undone}
    return [*undone, *work_items.not_cancelled(connection, [key for key in keys if key not in known])]


def _judged_again(spool: Path) -> list[str]:
    """The cases of which a judgement after the first was delivered, or whose record of it is damaged."""
    found = []
    for folder in spool.iterdir() if spool.is_dir() else ():
        try:
            ended = ended_of(Spool(folder))
        except ActionRequired:
            found.append(folder.name)
        else:
            found += [folder.name] if ended is not None and ended.judgement != 1 else []
    return found


def _delivered(results: Path, key: str, name: str, judgement: int) -> Delivered | None:
    delivery = delivered_results(results, key, name)
    if delivery is None:
        return None
    folder, manifest, digest = delivery
    try:
        word, why = read_verdict(folder)
    except (OSError, ValueError):
        raise Permanent(f"the verdict delivered under {key} cannot be read") from None
    return Delivered(folder, manifest, digest, word, why, judgement)


def _judgement(connection: Connection, key: str) -> int:
    """The number of the judgement under way: results of an earlier one close no case."""
    return judgements.number(audit.history(connection, key))
