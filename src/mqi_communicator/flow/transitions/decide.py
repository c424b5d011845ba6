"""How an outcome changes the state of a work item. Pure: (item, outcome, now) -> (item, event).

The moves as a table (the step stays the same unless stated):

    outcome                 status     what else
    Done                    ready      next step, tries 0; after the last step: done; an order to cancel: cancelled
    Wait                    waiting    due later, tries 0
    NewRun                  ready      back to `submit` with the next run that is not spent; after too many runs: failed
    Resend                  waiting    until the case has been uploaded again (the driver moves the case's item)
    Extend                  ready      back to `prepare`; each beam back to `submit` with its next run (by the driver)
    AtLimit                 waiting    until the limit allows it; no try is counted
    Unreachable             waiting    retried without limit, when the host's breaker allows; no try is counted
    Transient               waiting    backoff; after too many tries: failed
    ActionRequired          waiting    retried every `retry.probe_s`: continues automatically once the cause is gone
    Permanent               failed

Only live items (ready, waiting) may move by an outcome; anything else is an IllegalMove and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.case.faults import ActionRequired, AtLimit, Fault, Permanent, Unreachable
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.outcome import Done, Extend, NewRun, Outcome, Resend, Wait
from mqi_communicator.flow.options import RetryOptions

LIVE = (Status.READY, Status.WAITING)
FIRST_BEAM_STEP = "submit"
PREPARE = "prepare"
UPLOAD = "upload"
COMPARE = "compare"
TIDY = "tidy"
RESEND_S = 60.0
EXTENDED = "case.extended"  # the event of a case that is computed once more


class IllegalMove(RuntimeError):  # noqa: N818 - named after what happened
    """This work item cannot make this move. Nothing was changed."""


def decide(
    item: WorkItem, outcome: Outcome | Fault, now: float, *, after: str | None, retry: RetryOptions, chance: float
) -> tuple[WorkItem, Event]:
    """The next state of `item` and its event. `after`: the next step, None at the last. `chance`: [0, 1), jitter."""
    if item.status not in LIVE and not item.wanted:
        raise IllegalMove(f"an item that is {item.status} does not move by {type(outcome).__name__}")
    moved = _moved(item, outcome, now, after, retry, chance)
    return moved, _event(item, moved, outcome, now)


def _moved(
    item: WorkItem, outcome: Outcome | Fault, now: float, after: str | None, retry: RetryOptions, chance: float
) -> WorkItem:
    match outcome:
        case Done():
            return _advance(item, now, None if outcome.last else after)
        case Wait():
            return _wait(item, now + outcome.seconds, outcome.why, needs_person=outcome.needs_person)
        case NewRun():
            return _new_run(item, outcome, now, retry)
        case Resend(why):
            return _wait(item, now + RESEND_S, f"{why}; the input is being uploaded again")
        case Extend(why):
            fresh = replace(item, step=PREPARE, status=Status.READY, tries=0, due=now, since=now, reason=why)
            return replace(fresh, advice="", needs_person=False)
        case Permanent():
            return _fail(item, now, outcome.reason, outcome.advice)
        case AtLimit():
            return replace(_wait(item, now + outcome.retry_in, outcome.reason, advice=outcome.advice), tries=item.tries)
        case ActionRequired():
            return _wait(item, now + retry.probe_s, outcome.reason, advice=outcome.advice, needs_person=True)
        case Unreachable():
            pause = getattr(outcome, "retry_in", None) or backoff(item.tries + 1, retry, chance)
            return replace(_wait(item, now + pause, outcome.reason, advice=outcome.advice), tries=item.tries)
        case _:
            return _try_again(item, outcome, now, retry, chance)


def resend(own: WorkItem, why: str, now: float) -> WorkItem:
    """The case's item when a beam finds its input missing: back to the upload, if it waits for its beams."""
    if own.status not in LIVE or own.step != COMPARE:
        return own
    return replace(own, step=UPLOAD, status=Status.READY, tries=0, due=now, since=now, reason=why)


def extended(beam: WorkItem, own: WorkItem, why: str, now: float) -> WorkItem:
    """A finished beam when its case is computed once more: a new run. An order to cancel the case holds for it too."""
    fresh = replace(beam, step=FIRST_BEAM_STEP, status=Status.READY, run=beam.run + 1, base_run=beam.run + 1)
    return replace(fresh, tries=0, due=now, since=now, reason=why, advice="", needs_person=False, wanted=own.wanted)


def backoff(tries: int, retry: RetryOptions, chance: float) -> float:
    """Seconds to wait after the n-th failed try: doubling, capped, spread over the upper half."""
    full = min(retry.cap_s, retry.first_s * 2.0 ** min(tries - 1, 30))
    return full * (0.5 + 0.5 * chance)


def _advance(item: WorkItem, now: float, after: str | None) -> WorkItem:
    fresh = replace(item, tries=0, due=now, since=now, reason="", advice="", needs_person=False)
    if item.wanted == "cancel":
        return replace(fresh, status=Status.CANCELLED, wanted="", reason="cancelled by order")
    if after is None:
        return replace(fresh, status=Status.DONE)
    return replace(fresh, step=after, status=Status.READY)


def _wait(item: WorkItem, due: float, why: str, *, advice: str = "", needs_person: bool = False) -> WorkItem:
    return replace(item, status=Status.WAITING, tries=0, due=due, reason=why, advice=advice, needs_person=needs_person)


def _fail(item: WorkItem, now: float, why: str, advice: str) -> WorkItem:
    return replace(item, status=Status.FAILED, due=now, reason=why, advice=advice, needs_person=False, wanted="")


def _new_run(item: WorkItem, outcome: NewRun, now: float, retry: RetryOptions) -> WorkItem:
    why = outcome.why
    if outcome.beyond:
        return replace(_next_run(item, outcome.beyond + 1, why, now), base_run=outcome.beyond + 1)
    done = item.run - item.base_run + 1
    if done >= retry.max_runs:
        return _fail(item, now, f"{done} runs ended without a result; the last: {why}", "mqi retry starts another run")
    return _next_run(item, item.run + 1, why, now)


def _next_run(item: WorkItem, run: int, why: str, now: float) -> WorkItem:
    return replace(item, step=FIRST_BEAM_STEP, status=Status.READY, run=run, tries=0, due=now, since=now, reason=why)


def _try_again(item: WorkItem, fault: Fault, now: float, retry: RetryOptions, chance: float) -> WorkItem:
    tries = item.tries + 1
    if tries >= retry.tries:
        return _fail(replace(item, tries=tries), now, f"{fault.reason} ({tries} tries)", fault.advice or "mqi retry")
    waiting = _wait(item, now + backoff(tries, retry, chance), fault.reason, advice=fault.advice)
    return replace(waiting, tries=tries)


def _event(before: WorkItem, after: WorkItem, outcome: Outcome | Fault, now: float) -> Event:
    facts = dict(outcome.facts) if isinstance(outcome, Done | NewRun | Extend) else {}
    if code := getattr(outcome, "code", ""):
        facts["code"] = code
    return Event(
        at=now,
        case=before.case,
        beam=before.beam,
        event=_name(after, outcome),
        step=before.step,
        before=before.status,
        after=after.status if after.step == before.step else f"{after.step}/{after.status}",
        why=after.reason,
        facts=facts | {"attempt": before.tries + 1, "run": before.run},
    )


def _name(after: WorkItem, outcome: Outcome | Fault) -> str:
    if after.status is Status.FAILED:
        return "step.failed"
    if after.status is Status.CANCELLED:
        return "case.cancelled" if after.beam == CASE_ITEM else "beam.cancelled"
    match outcome:
        case Done():
            if after.status is not Status.DONE:
                return "step.done"
            return "case.done" if after.beam == CASE_ITEM else "beam.done"
        case Wait() | Resend() | AtLimit():
            return "step.waiting"
        case NewRun():
            return "run.superseded"
        case Extend():
            return EXTENDED
        case ActionRequired():
            return "step.action_required"
        case _:
            return "step.retried"
