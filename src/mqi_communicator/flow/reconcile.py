"""Start-up: the store is held against the spool and the results, and what it has forgotten is taken up again.

A store that came back from a backup knows less than the world. Cases that lie in the spool get their lines again under
their old key; a case whose results stand is not computed again. What runs on a host needs nothing here: a job's token
follows from the key, so that every step finds the gate taken and adopts what it finds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event, Manifest, Status, WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.delivery.folder import delivered_results
from mqi_communicator.dose.recipe import changes
from mqi_communicator.flow.spool.decisions import ended_of, orders_of
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.spool.origin import read_origin
from mqi_communicator.flow.steps.admit import register
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.flow.transitions.decide import COMPARE, EXTENDED, FIRST_BEAM_STEP, PREPARE, UPLOAD, extended
from mqi_communicator.flow.transitions.judgements import JUDGEMENT_RECOVERED
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.documents import VERDICT, verdict_of
from mqi_communicator.store import audit, cases, jobs, orders, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.orders import Order

PREPARED_AGAIN = "case.prepared_again"
DELIVERY_RECOVERED = "case.delivery_recovered"
FORGOTTEN = " (the store had forgotten this order)"
EXTENDED_BEFORE = "the longer run was ordered before, the store had forgotten it"
EXTEND = "extend"
BEFORE_DELIVERY = ("admit", "prepare", "upload", "compare")


@dataclass(frozen=True, slots=True)
class StartupSummary:
    """What there is at the start."""

    cases: Mapping[str, int]  # status -> cases
    jobs: int  # that hold a place of a host: they are followed
    orders: int  # given while nobody ran
    readmitted: int  # cases the store had forgotten and the spool had not
    delivered: int  # cases the store took for unfinished, whose results stand
    mismatched: int  # whose results stand and are not as they were delivered


@dataclass(frozen=True, slots=True)
class Delivered:
    """What stands in the results folder of one case."""

    folder: Path
    manifest: Mapping[str, object]
    digest: str
    word: str
    why: str
    judgement: int  # counted from 1


async def reconcile(tools: Tools) -> StartupSummary:
    """Take up again what the store has forgotten; say what there is. Doing it twice changes nothing more."""
    known = await tools.database.read(_keys)
    ordered = await asyncio.to_thread(_ordered, tools.workspace / "spool")
    for key in sorted(known & ordered.keys()):  # before the strays: what is being cancelled is nobody's twin
        _emit_reapplied(key, await tools.database.write(_give_again, ordered[key], tools, tools.clock()), tools)
    strays = await asyncio.to_thread(_strays, tools.workspace / "spool", known, ordered)
    for case, manifest in strays:
        again = await tools.database.write(_readmit, case, manifest, ordered.get(case.key, ()), tools, tools.clock())
        tools.emit("case.readmitted", case=case.key)
        _emit_reapplied(case.key, again, tools)
    for key, why in await _with_another_recipe(tools):
        if await tools.database.write(_prepare_again, key, why, tools.clock()):
            tools.emit(PREPARED_AGAIN, case=key, why=why)
    for item, text in await _extended_before(tools):
        await tools.database.write(_extend_again, item, text, tools.clock())
        tools.emit("case.extension_recovered", case=item.case)
    delivered = mismatched = 0
    for item in await tools.database.read(_not_cancelled):
        try:
            stands = await _closed_by(item, tools)
        except Fault as fault:
            mismatched += 1
            tools.emit("results.mismatch", case=item.case, why=fault.reason)
            continue
        if stands is not None:
            await tools.database.write(_close, item, stands, tools.clock())
            tools.emit(DELIVERY_RECOVERED, case=item.case)
            delivered += 1
    counts, active, waiting = await tools.database.read(_counts)
    return StartupSummary(counts, active, waiting, len(strays), delivered, mismatched)


def _keys(connection: Connection) -> set[str]:
    return {case.key for case in cases.all_cases(connection)}


def _ordered(spool: Path) -> dict[str, list[Order]]:
    """The orders that hold, by case, of all cases that have any."""
    found = {folder.name: orders_of(Spool(folder)) for folder in (spool.iterdir() if spool.is_dir() else [])}
    return {key: given for key, given in found.items() if given}


def _give_again(connection: Connection, given: Sequence[Order], tools: Tools, now: float) -> list[str]:
    """Carry out what this store has forgotten of the orders for one case; returns their words."""
    again = [order for order in given if not orders.is_known(connection, order)]
    for order in again:
        why = f"{order.why.removesuffix(FORGOTTEN)}{FORGOTTEN}"
        number = orders.add(
            connection, at=order.at, case=order.case, order=order.order, who=order.who, why=why, detail=order.detail
        )
        spool = tools.spool(order.case)
        apply_order(connection, replace(order, id=number, why=why), spool, now, tools.resources.ageing_s)
    return [order.order for order in again]


def _emit_reapplied(case: str, words: Sequence[str], tools: Tools) -> None:
    for word in words:
        tools.emit("order.recovered", case=case, order=word)


def _strays(spool: Path, known: set[str], ordered: Mapping[str, Sequence[Order]]) -> list[tuple[Case, Manifest | None]]:
    """Cases that the store does not know, in the order in which they came: those that were admitted whole, and, without
    a manifest, those that were cancelled before."""
    found: list[tuple[Case, Manifest | None]] = []
    for folder in sorted(spool.iterdir()) if spool.is_dir() else []:
        place = Spool(folder)
        admitted = place.manifest.is_file()
        cancelled = any(order.order == "cancel" for order in ordered.get(folder.name, ()))
        if folder.name in known or not (admitted or cancelled):
            continue
        case = read_origin(place.origin, folder.name)
        if case is not None:
            found.append((case, load_manifest(place.manifest) if admitted else None))
    return sorted(found, key=lambda pair: pair[0].seen)


def _readmit(
    connection: Connection, case: Case, manifest: Manifest | None, given: Sequence[Order], tools: Tools, now: float
) -> list[str]:
    """The case has a line again, and is under the orders that hold; returns those that were given again."""
    cases.add(connection, case)
    done = Done(last=True) if manifest is None else register(connection, case.key, manifest, now)
    status = Status.DONE if done.last and manifest is not None else Status.READY
    item = WorkItem(case.key, CASE_ITEM, "admit" if done.last else "prepare", status=status, due=now, since=now)
    why = "the store had lost the case; its files were in the spool"
    facts = {name: value for name, value in done.facts.items() if name != "bytes"}
    event = Event(now, case.key, CASE_ITEM, "case.readmitted", item.step, "", status, "mqi", why, facts)
    work_items.add(connection, item, event)
    return _give_again(connection, given, tools, now)


async def _with_another_recipe(tools: Tools) -> list[tuple[str, str]]:
    """Cases whose input was made for something else than is configured now, and what that is."""
    found = []
    for item in await tools.database.read(_unfinished):
        if item.step in (UPLOAD, COMPARE) and not item.status.ended:
            changed = changes(await asyncio.to_thread(tools.spool(item.case).made_with), tools.engine)
            found += [(item.case, "; ".join(changed))] if changed else []
    return found


def _prepare_again(connection: Connection, key: str, why: str, now: float) -> bool:
    """Where no beam has set out yet, the input is made anew; the lines of beams wait for it."""
    own, *beams = work_items.of_case(connection, key)
    out = [job for job in jobs.of_case(connection, key) if job.state != jobs.WANTED]
    set_out = [beam for beam in beams if beam.step != FIRST_BEAM_STEP or beam.status.ended]
    if out or set_out or (own.step == COMPARE and not beams):
        return False
    status = Status.HELD if own.status is Status.HELD else Status.READY
    moved = replace(own, step=PREPARE, status=status, due=now, since=now, tries=0, reason="", advice="")
    event = Event(now, key, CASE_ITEM, PREPARED_AGAIN, own.step, own.status, f"{PREPARE}/{status}", "mqi", why)
    work_items.move(connection, own, replace(moved, needs_person=False), event)
    return True


async def _extended_before(tools: Tools) -> list[tuple[WorkItem, str]]:
    """Cases whose longer run was ordered without the store knowing, and how it was declared."""
    found = []
    for item in await tools.database.read(_not_cancelled):
        note = tools.spool(item.case).extension
        if item.step == EXTEND or item.status is Status.DONE or not await asyncio.to_thread(note.is_file):
            continue  # the step itself does the same once more
        history = await tools.database.read(audit.history, item.case)
        if not any(one.name == EXTENDED for one in history):
            found.append((item, await asyncio.to_thread(note.read_text, encoding="utf-8")))
    return found


def _extend_again(connection: Connection, own: WorkItem, text: str, now: float) -> None:
    """As when it was ordered: the input is made anew, each beam goes to its next run. The runs before have ended."""
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


def _unfinished(connection: Connection) -> list[WorkItem]:
    """The lines of cases that the store takes for not delivered, and that nobody wants to end."""
    over = (Status.DONE, Status.CANCELLED)
    own = [item for item in work_items.case_items(connection) if item.status not in over and not item.wanted]
    return [item for item in own if item.step in BEFORE_DELIVERY]


def _judgement(connection: Connection, key: str) -> int:
    """Which one is under way: results of an earlier one close no case."""
    return judgements.number(audit.history(connection, key))


def _not_cancelled(connection: Connection) -> list[WorkItem]:
    """The own lines of cases that nobody wants to end."""
    return [
        item for item in work_items.case_items(connection) if item.status is not Status.CANCELLED and not item.wanted
    ]


async def _closed_by(item: WorkItem, tools: Tools) -> Delivered | None:
    """The results that close a case: those that stand of the judgement under way or of a later one, or, where somebody
    has taken them away, what the spool says of them. None if the store knows all that was delivered."""
    ended = await asyncio.to_thread(ended_of, tools.spool(item.case))
    under_way = item.step in BEFORE_DELIVERY and item.status is not Status.DONE
    if not under_way and (ended is None or ended.judgement == 1):
        return None
    number = await tools.database.read(_judgement, item.case)
    later = ended is not None and ended.judgement > number
    if not under_way and not later:
        return None
    last = ended.judgement if ended is not None and later else number
    stands = await asyncio.to_thread(_delivered, tools.results, item.case, judgements.folder(item.case, last), last)
    if stands is None and ended is not None and ended.judgement == last:
        return Delivered(Path(ended.results), {}, "", ended.word, ended.why, last)
    return stands


def _delivered(results: Path, key: str, name: str, judgement: int) -> Delivered | None:
    stands = delivered_results(results, key, name)
    if stands is None:
        return None
    folder, manifest, digest = stands
    try:
        verdict = verdict_of((folder / VERDICT).read_bytes())
    except ValueError:
        raise Permanent(f"the verdict delivered under {key} cannot be read") from None
    return Delivered(folder, manifest, digest, verdict.outcome, verdict.why, judgement)


def _close(connection: Connection, own: WorkItem, stands: Delivered, now: float) -> None:
    """Nothing of it is computed again: every job that made these results has ended."""
    why = "its results were delivered before"
    for number in range(1 + _judgement(connection, own.case), 1 + stands.judgement):
        judged = f"judgement {number} was delivered before"
        facts: dict[str, object] = {"judgement": number}
        told = Event(now, own.case, CASE_ITEM, JUDGEMENT_RECOVERED, own.step, own.status, own.status, why=judged)
        audit.append(connection, replace(told, facts=facts))
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
        facts = {"manifest": stands.digest} if item.beam == CASE_ITEM else {}
        after = f"{moved.step}/{moved.status}"
        event = Event(now, item.case, item.beam, DELIVERY_RECOVERED, item.step, item.status, after, "mqi", why, facts)
        work_items.move(connection, item, moved, event)
    cases.change(connection, own.case, word=stands.word, why=stands.why, results=str(stands.folder))


def _counts(connection: Connection) -> tuple[dict[str, int], int, int]:
    counts = Counter(str(item.status) for item in work_items.case_items(connection))
    return dict(counts), jobs.count_active(connection), len(orders.pending(connection))
