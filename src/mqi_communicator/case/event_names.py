"""Events that were renamed. A store keeps each event under the name it was recorded with, since that name is part of
the hash chain, of delivered `events.jsonl` files and of manifests; code compares and displays current names only."""

from __future__ import annotations

from collections.abc import Mapping

OF_CASES: Mapping[str, str] = {  # recorded name -> current name, for events of the case itself (beam 0)
    "line.done": "case.done",
    "line.cancelled": "case.cancelled",
    "step.needs_person": "step.action_required",
    "case.delivered_before": "case.delivery_recovered",
    "case.judged_before": "case.judgement_recovered",
}
OF_BEAMS: Mapping[str, str] = {
    **OF_CASES,
    "line.began": "beam.started",
    "line.done": "beam.done",
    "line.cancelled": "beam.cancelled",
}
OF_LOGS: Mapping[str, str] = {  # events that are only logged
    "found": "startup.summary",
    "step.begin": "step.started",
    "step.bug": "step.internal_error",
    "step.overtaken": "step.discarded",
    "flow.stuck": "step.stuck",
    "flow.moves_again": "step.recovered",
    "loop.stuck": "event_loop.blocked",
    "order.obeyed": "order.applied",
    "order.given_again": "order.recovered",
    "case.extended_again": "case.extension_recovered",
    "results.doubtful": "results.mismatch",
    "watch.doubtful": "watch.untrusted",
    "breaker.moved": "breaker.state_changed",
    "constancy.begun": "constancy.started",
    "constancy.not_begun": "constancy.not_started",
    "housekeeping.put_off": "housekeeping.deferred",
    "notify.put_off": "notify.deferred",
    "notify.bug": "notify.internal_error",
    "store.trouble": "database.error",
    "store.gone": "database.lost",
    "web.open": "web.started",
    "web.bug": "web.internal_error",
    "web.ended": "child.ended",
    "web.failed": "child.ended",
}


def current_name(recorded: str, beam: int) -> str:
    """The current name of a recorded event. `beam` is the event's: 0 for the case itself."""
    return (OF_BEAMS if beam else OF_CASES).get(recorded, recorded)


def recorded_names(*current: str) -> tuple[str, ...]:
    """All names, current and former, under which a store may hold these events: for queries."""
    former = {old for table in (OF_CASES, OF_BEAMS) for old, new in table.items() if new in current}
    return (*current, *sorted(former))
