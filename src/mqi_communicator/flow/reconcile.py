"""Start-up: the store is held against the spool and the results, and what it has forgotten is taken up again.

A store that came back from a backup knows less than the world. Cases that lie in the spool get their lines again under
their old key; a case whose results stand is not computed again. What runs on a host needs nothing here: a job's token
follows from the key, so that every step finds the gate taken and adopts what it finds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault, Permanent
from mqi_communicator.case.model import CASE_LINE, Event, Line, Manifest, Status
from mqi_communicator.delivery.folder import standing
from mqi_communicator.dose.recipe import changes
from mqi_communicator.flow import judgements
from mqi_communicator.flow.decide import COMPARE, FIRST_BEAM_STEP, PREPARE, UPLOAD
from mqi_communicator.flow.origin import read_origin
from mqi_communicator.flow.spool import Spool
from mqi_communicator.flow.stations.admit import enrol
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.admit import load_manifest
from mqi_communicator.results.documents import VERDICT, verdict_of
from mqi_communicator.store import audit, cases, jobs, lines, orders
from mqi_communicator.store.cases import Case

PREPARED_AGAIN = "case.prepared_again"
DELIVERED_BEFORE = "case.delivered_before"
BEFORE_DELIVERY = ("admit", "prepare", "upload", "compare")


@dataclass(frozen=True, slots=True)
class Found:
    """What there is at the start."""

    cases: Mapping[str, int]  # status -> cases
    jobs: int  # that hold a place of a host: they are followed
    orders: int  # given while nobody ran
    readmitted: int  # cases the store had forgotten and the spool had not
    delivered: int  # cases the store took for unfinished, whose results stand
    doubtful: int  # whose results stand and are not as they were delivered


@dataclass(frozen=True, slots=True)
class Delivered:
    """What stands in the results folder of one case."""

    folder: Path
    manifest: Mapping[str, object]
    digest: str
    word: str
    why: str


async def reconcile(tools: Tools) -> Found:
    """Take up again what the store has forgotten; say what there is. Doing it twice changes nothing more."""
    known = await tools.database.read(_keys)
    strays = await asyncio.to_thread(_strays, tools.workspace / "spool", known)
    for case, manifest in strays:
        await tools.database.write(_readmit, case, manifest, tools.clock())
        tools.ear("case.readmitted", case=case.key)
    for key, why in await _with_another_recipe(tools):
        if await tools.database.write(_prepare_again, key, why, tools.clock()):
            tools.ear(PREPARED_AGAIN, case=key, why=why)
    delivered = doubtful = 0
    for line in await tools.database.read(_unfinished):
        try:
            name = judgements.folder(line.case, await tools.database.read(_judgement, line.case))
            stands = await asyncio.to_thread(_delivered, tools.results, line.case, name)
        except Fault as fault:
            doubtful += 1
            tools.ear("results.doubtful", case=line.case, why=fault.reason)
            continue
        if stands is not None:
            await tools.database.write(_close, line, stands, tools.clock())
            tools.ear(DELIVERED_BEFORE, case=line.case)
            delivered += 1
    counts, active, waiting = await tools.database.read(_counts)
    return Found(counts, active, waiting, len(strays), delivered, doubtful)


def _keys(connection: Connection) -> set[str]:
    return {case.key for case in cases.all_cases(connection)}


def _strays(spool: Path, known: set[str]) -> list[tuple[Case, Manifest]]:
    """Cases that were admitted whole and that the store does not know, in the order in which they came."""
    found = []
    for folder in sorted(spool.iterdir()) if spool.is_dir() else []:
        place = Spool(folder)
        if folder.name in known or not place.manifest.is_file():
            continue
        case = read_origin(place.origin, folder.name)
        if case is not None:
            found.append((case, load_manifest(place.manifest)))
    return sorted(found, key=lambda pair: pair[0].seen)


def _readmit(connection: Connection, case: Case, manifest: Manifest, now: float) -> None:
    cases.add(connection, case)
    done = enrol(connection, case.key, manifest, now)
    status = Status.DONE if done.last else Status.READY
    line = Line(case.key, CASE_LINE, "admit" if done.last else "prepare", status=status, due=now, since=now)
    why = "the store had forgotten it, its files lay in the spool"
    facts = {name: value for name, value in done.facts.items() if name != "bytes"}
    event = Event(now, case.key, CASE_LINE, "case.readmitted", line.step, "", status, "mqi", why, facts)
    lines.add(connection, line, event)


async def _with_another_recipe(tools: Tools) -> list[tuple[str, str]]:
    """Cases whose input was made for something else than is configured now, and what that is."""
    found = []
    for line in await tools.database.read(_unfinished):
        if line.step in (UPLOAD, COMPARE) and not line.status.ended:
            changed = changes(await asyncio.to_thread(tools.spool(line.case).made_with), tools.engine)
            found += [(line.case, "; ".join(changed))] if changed else []
    return found


def _prepare_again(connection: Connection, key: str, why: str, now: float) -> bool:
    """Where no beam has set out yet, the input is made anew; the lines of beams wait for it."""
    own, *beams = lines.of_case(connection, key)
    out = [job for job in jobs.of_case(connection, key) if job.state != jobs.WANTED]
    set_out = [beam for beam in beams if beam.step != FIRST_BEAM_STEP or beam.status.ended]
    if out or set_out or (own.step == COMPARE and not beams):
        return False
    status = Status.HELD if own.status is Status.HELD else Status.READY
    moved = replace(own, step=PREPARE, status=status, due=now, since=now, tries=0, reason="", advice="")
    event = Event(now, key, CASE_LINE, PREPARED_AGAIN, own.step, own.status, f"{PREPARE}/{status}", "mqi", why)
    lines.move(connection, own, replace(moved, needs_person=False), event)
    return True


def _unfinished(connection: Connection) -> list[Line]:
    """The lines of cases that the store takes for not delivered, and that nobody wants to end."""
    over = (Status.DONE, Status.CANCELLED)
    own = [line for line in lines.own(connection) if line.status not in over and not line.wanted]
    return [line for line in own if line.step in BEFORE_DELIVERY]


def _judgement(connection: Connection, key: str) -> int:
    """Which one is under way: results of an earlier one close no case."""
    return judgements.number(audit.history(connection, key))


def _delivered(results: Path, key: str, name: str) -> Delivered | None:
    stands = standing(results, key, name)
    if stands is None:
        return None
    folder, manifest, digest = stands
    try:
        verdict = verdict_of((folder / VERDICT).read_bytes())
    except ValueError:
        raise Permanent(f"the verdict delivered under {key} cannot be read") from None
    return Delivered(folder, manifest, digest, verdict.word, verdict.why)


def _close(connection: Connection, own: Line, stands: Delivered, now: float) -> None:
    """Nothing of it is computed again: every job that made these results has ended."""
    why = "its results were delivered before"
    for job in jobs.of_case(connection, own.case):
        if job.active:
            jobs.change(connection, job.token, active=False, state="ended")
    for line in lines.of_case(connection, own.case):
        if line.beam == CASE_LINE:
            moved = replace(line, step="tidy", status=Status.READY)
        elif line.status is not Status.DONE:
            moved = replace(line, status=Status.DONE)
        else:
            continue
        moved = replace(moved, due=now, since=now, tries=0, reason="", advice="", needs_person=False)
        facts: dict[str, object] = {"manifest": stands.digest} if line.beam == CASE_LINE else {}
        after = f"{moved.step}/{moved.status}"
        event = Event(now, line.case, line.beam, DELIVERED_BEFORE, line.step, line.status, after, "mqi", why, facts)
        lines.move(connection, line, moved, event)
    cases.change(connection, own.case, word=stands.word, why=stands.why, results=str(stands.folder))


def _counts(connection: Connection) -> tuple[dict[str, int], int, int]:
    counts = Counter(str(line.status) for line in lines.own(connection))
    return dict(counts), jobs.held(connection), len(orders.pending(connection))
