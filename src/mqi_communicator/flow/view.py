"""The views of cases that the command line, the dashboard and the JSON interface show, from one read of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.model import CaseKind, Event, Status, WorkItem
from mqi_communicator.case.states import is_due
from mqi_communicator.case.views import DEFAULT_POLICY, BeamView, CaseView, ViewPolicy, state_of_case
from mqi_communicator.case.visible import visible, visible_in
from mqi_communicator.flow.hosts.forecast import forecast
from mqi_communicator.flow.steps.table import step_of
from mqi_communicator.results.extension import extension_of
from mqi_communicator.store import cases, jobs, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.jobs import JobRow

SOON_S = 5.0

__all__ = ["BeamView", "CaseView", "checks_of", "record", "view", "view_all", "view_named", "why"]


def view(
    connection: Connection, found: Sequence[Case], now: float, policy: ViewPolicy = DEFAULT_POLICY
) -> list[CaseView]:
    """These cases, in the order given, with as much of their identity as the site shows."""
    families = work_items.of_cases(connection, [case.key for case in found])
    runs = jobs.of_cases(connection, [case.key for case in found])
    open_ones = any(not families[case.key][0].status.ended for case in found)
    etas = forecast(connection, now) if open_ones else {}
    return [_case(case, families[case.key], runs[case.key], now, etas.get(case.key), policy) for case in found]


def view_all(
    connection: Connection, now: float, limit: int | None = None, policy: ViewPolicy = DEFAULT_POLICY
) -> list[CaseView]:
    """All cases, newest first."""
    return view(connection, cases.all_cases(connection, limit), now, policy)


def view_named(connection: Connection, name: str, now: float, policy: ViewPolicy = DEFAULT_POLICY) -> list[CaseView]:
    """The cases that match `name`, newest first."""
    return view(connection, cases.find(connection, name), now, policy)


def record(case: CaseView, events: Sequence[Event]) -> dict[str, object]:
    """All that is known of a case, for JSON: the output of `mqi show --json` and the dashboard's interface."""
    recorded = [{name: getattr(event, name) for name in Event.__slots__} for event in events]
    return case.to_dict() | {"events": recorded, "checks": checks_of(case)}


def checks_of(case: CaseView) -> list[dict[str, object]]:
    """The named checks of the delivered verdict; none before it is delivered, or where the folder was moved away."""
    folder = Path(case.results)
    path = folder / ("delivery.json" if case.kind == CaseKind.FRACTION else "verdict.json")
    if not case.results or not path.is_file():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    checks: list[dict[str, object]] = (document["fractions"][0] if "fractions" in document else document)["checks"]
    return [{name: visible_in(value) for name, value in check.items()} for check in checks]


def _case(
    case: Case,
    family: Sequence[WorkItem],
    runs: Sequence[JobRow],
    now: float,
    eta: float | None,
    policy: ViewPolicy,
) -> CaseView:
    own, beams, shown = family[0], family[1:], policy.shown
    last = {job.token: job for job in runs}
    longer = extension_of(case.extension, closed=True)
    extended = longer.summary if longer is not None else ""
    made = CaseView(
        case=case.key,
        folder=visible(case.source.name),
        revision=case.revision,
        step=own.step,
        status=own.status,
        verdict=case.word,
        why=visible(_with(_why_case(case, own, beams, now), extended)),
        advice=own.advice,
        needs_person=own.needs_person or any(beam.needs_person for beam in beams),
        results=case.results,
        host=case.host,
        priority=case.priority,
        eta=eta,
        superseded_by=case.superseded_by,
        same_as=case.same_as,
        seen=case.seen,
        beams=tuple(_beam(beam, last.get(beam.token), now) for beam in beams),
        constancy=case.constancy,
        extension=extended,
        signature=case.signature,
        signed_by=visible(case.signed_by),
        signed_at=case.signed_at or None,
        patient_id=shown.patient(case.patient_id),
        plan_label=shown.label(case.plan_label, case.patient_id),
        machine=visible(case.machine),
        kind=case.kind,
        parent=case.parent,
        fraction=case.fraction,
    )
    due = is_due(case.signature, case.word, case.superseded_by, case.constancy, passes=policy.passes)
    return replace(made, state=state_of_case(made, due=due))


def _beam(item: WorkItem, job: JobRow | None, now: float) -> BeamView:
    return BeamView(
        beam=item.beam,
        step=item.step,
        status=item.status,
        run=item.run,
        percent=None if job is None else job.percent,
        uncertainty=None if job is None else job.uncertainty,
        why=why(item, now),
        advice=item.advice,
        needs_person=item.needs_person,
    )


def _why_case(case: Case, own: WorkItem, beams: Sequence[WorkItem], now: float) -> str:
    if case.same_as:
        return f"the same content as case {case.same_as}: not computed again"
    if own.status is Status.DONE:
        return case.why or "done"
    stuck = [beam for beam in beams if beam.needs_person]
    if own.status is Status.WAITING and stuck:
        return f"beam {stuck[0].beam}: {why(stuck[0], now)}"
    return why(own, now)


def _with(sentence: str, clause: str) -> str:
    """A sentence and a clause, unless the sentence contains it already."""
    return sentence if not clause or clause in sentence else f"{sentence}; {clause}"


def why(item: WorkItem, now: float) -> str:
    """One line: why the item is in its present state, and what happens next."""
    match item.status:
        case Status.READY:
            activity = step_of(item).activity
            return f"{item.reason}; {activity}" if item.reason else activity
        case Status.WAITING:
            return item.reason + _next(item, now)
        case Status.HELD:
            return "held by order; mqi release continues it"
        case Status.DONE:
            return "done"
        case _:
            return f"{item.status} at {item.step}: {item.reason}"


def _next(item: WorkItem, now: float) -> str:
    """When the item is checked next, unless within a few seconds."""
    pause = item.due - now
    return f"; next check in {pause:.0f} s" if pause > SOON_S else ""
