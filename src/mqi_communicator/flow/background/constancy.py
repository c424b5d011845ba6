"""Constancy samples: which are due, and why. A sample that is due becomes a case and is processed like any other.

What the dose depends on is recorded with each run, so that the next check finds what has changed since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from mqi_communicator.case.model import CASE_ITEM, Event, Priority, WorkItem, new_key, rank_of
from mqi_communicator.flow.constancy_due import DUE, Due, recorded_due
from mqi_communicator.flow.options import ConstancyOptions
from mqi_communicator.flow.tools import Tools
from mqi_communicator.intake.scan import scan_folder
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case

DAY_S = 86_400.0
_SHORT = 24  # characters of a value that is shown; digests only say that they changed


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of one constancy sample. Times are epoch seconds."""

    name: str
    case: str  # key of its last run, "" before the first
    at: float | None  # when that was due
    because: str  # why it was due
    status: str  # of its case
    verdict: str  # its outcome, "" until judged
    why: str
    results: str
    changed_sample: bool  # its files are not those of the run before
    due: str  # why another run is due now, "" if none is
    next_due: float | None  # when the next one is due, if nothing changes; None before the first


def basis_of(version: str, evidence: Mapping[str, str]) -> dict[str, str]:
    """What a dose depends on: our version, and the engine, its models and its curves."""
    return {**evidence, "version": version}


def samples(
    connection: Connection, wanted: Sequence[ConstancyOptions], basis: Mapping[str, str], now: float
) -> list[Sample]:
    """Every sample of the configuration, in its order."""
    return [_sample(connection, one, basis, now) for one in wanted]


async def begin_due(wanted: Sequence[ConstancyOptions], tools: Tools) -> tuple[int, dict[str, str]]:
    """Make a case of each sample that is due; returns how many, and by name why one could not be."""
    basis = basis_of(tools.basis.version, tools.preparer.evidence())
    begun, problems = 0, dict[str, str]()
    found = await tools.database.read(samples, wanted, basis, tools.clock())
    for options, sample in zip(wanted, found, strict=True):
        if not sample.due:
            continue
        try:
            seen = await asyncio.to_thread(scan_folder, options.folder, tools.intake.max_files)
        except OSError as error:
            problems[options.name] = f"its folder cannot be listed: {error.strerror}"
            continue
        now = tools.clock()
        rank = rank_of(Priority.BACKGROUND, now, tools.resources.ageing_s)  # patients first
        case = Case(
            key=new_key(),
            source=options.folder,
            seen=now,
            fingerprint=seen.fingerprint,
            changed=now,
            priority=Priority.BACKGROUND.value,
            rank=rank,
            constancy=options.name,
        )
        await tools.database.write(_begin, case, sample.due, basis)
        tools.emit("constancy.started", case=case.key, name=options.name, why=sample.due)
        begun += 1
    return begun, problems


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names of what differs, with the old and the new value where they are short."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            found.append(f"{name} ({old} to {new})" if max(len(old), len(new)) <= _SHORT else name)
    return found


def _begin(connection: Connection, case: Case, why: str, basis: Mapping[str, str]) -> None:
    cases.add(connection, case)
    item = WorkItem(case.key, CASE_ITEM, "admit", due=case.seen, since=case.seen)
    facts = {"name": case.constancy, **Due(why, basis).facts()}
    event = Event(case.seen, case.key, CASE_ITEM, DUE, item.step, "", item.status, why=why, facts=facts)
    work_items.add(connection, item, event)


def _sample(connection: Connection, options: ConstancyOptions, basis: Mapping[str, str], now: float) -> Sample:
    runs = cases.of_sample(connection, options.name, 2)
    if not runs:
        due = "it was never computed"
        return Sample(options.name, "", None, "", "", "", "", "", changed_sample=False, due=due, next_due=None)
    last, item = runs[0], work_items.get(connection, runs[0].key)
    recorded = recorded_due(connection, last.key) or Due("", {})
    next_due = last.seen + options.every_days * DAY_S
    due = ""
    if item.status.ended:
        if changed := changes(recorded.basis, basis):
            due = f"changed since the last: {', '.join(changed)}"
        elif now >= next_due:
            due = f"{options.every_days:g} days have passed"
    earlier = runs[1].content if len(runs) > 1 else ""
    return Sample(
        name=options.name,
        case=last.key,
        at=last.seen,
        because=recorded.because,
        status=str(item.status),
        verdict=last.word,
        why=last.why if last.word else item.reason,
        results=last.results,
        changed_sample=bool(earlier and last.content and earlier != last.content),
        due=due,
        next_due=next_due,
    )


def as_record(sample: Sample) -> dict[str, object]:
    """For JSON."""
    return asdict(sample)
