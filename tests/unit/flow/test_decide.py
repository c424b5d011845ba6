"""Whole lives of work items, in microseconds, through the module that changes their state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.case.faults import HostKeyProblem, Permanent, Transient, Unreachable
from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem
from mqi_communicator.case.outcome import Done, Extend, NewRun, Wait
from mqi_communicator.flow.options import RetryOptions
from mqi_communicator.flow.steps.functions import PERFORM
from mqi_communicator.flow.steps.table import ALL_STEPS, BEAM_STEPS, CASE_STEPS, next_step
from mqi_communicator.flow.transitions.decide import IllegalMove, backoff, decide, extended
from mqi_communicator.flow.transitions.orders import moves_of_order

pytestmark = pytest.mark.pure

RETRY = RetryOptions(first_s=2, cap_s=60, tries=4, max_runs=3, probe_s=100)
CASE = WorkItem("k", CASE_ITEM, "admit")
BEAM = WorkItem("k", 2, "submit")


def go(item, outcome, now=1000.0, chance=0.5):
    return decide(item, outcome, now, after=next_step(item), retry=RETRY, chance=chance)[0]


@pytest.mark.parametrize(("item", "steps"), [(CASE, CASE_STEPS), (BEAM, BEAM_STEPS)])
def test_repeated_done_reaches_every_step(item, steps):
    seen = []
    while item.status is not Status.DONE:
        seen.append(item.step)
        item = go(item, Done())
    assert seen == [step.name for step in steps]


def test_every_step_has_a_function():
    assert list(PERFORM) == [step.name for step in ALL_STEPS]


def test_a_last_outcome_ends_the_item():
    assert go(CASE, Done(last=True)).status is Status.DONE


def test_waiting_has_a_reason_and_a_time():
    item = go(CASE, Wait(30, "2 of 40 CT slices are missing"))
    assert (item.status, item.due, item.reason) == (Status.WAITING, 1030.0, "2 of 40 CT slices are missing")


def test_an_outage_never_fails_an_item():
    item = BEAM
    for _ in range(500):
        item = go(item, Unreachable("no answer"))
    assert item.status is Status.WAITING
    assert item.due - 1000 <= RETRY.cap_s


def test_an_outage_costs_no_tries():
    item = go(BEAM, Transient("hiccup"))
    for _ in range(500):
        item = go(item, Unreachable("no answer"))
    for _ in range(RETRY.tries - 2):
        item = go(item, Transient("hiccup"))
        assert item.status is Status.WAITING
    assert go(item, Transient("hiccup")).status is Status.FAILED


def test_other_transient_faults_fail_after_the_last_try():
    item = BEAM
    for _ in range(RETRY.tries - 1):
        item = go(item, Transient("hiccup"))
        assert item.status is Status.WAITING
    assert go(item, Transient("hiccup")).status is Status.FAILED


def test_action_required_waits_retries_and_continues_automatically():
    item = go(BEAM, HostKeyProblem("host key changed", "compare the fingerprints"))
    assert (item.status, item.needs_person, item.due) == (Status.WAITING, True, 1100.0)
    assert item.advice == "compare the fingerprints"
    item = go(item, Done())
    assert (item.status, item.needs_person, item.step) == (Status.READY, False, "follow")


def test_a_run_without_a_result_leads_to_the_next_and_the_last_fails():
    item = replace(BEAM, step="follow")
    item = go(item, NewRun("crashed at save"))
    assert (item.step, item.run, item.status) == ("submit", 2, Status.READY)
    item = go(replace(item, step="follow"), NewRun("crashed at save"))
    item = go(replace(item, step="follow"), NewRun("crashed at save"))
    assert (item.run, item.status) == (3, Status.FAILED)
    assert "3 runs" in item.reason


def test_the_count_of_runs_starts_again_after_spent_ones():
    item = go(replace(BEAM, step="submit", run=2), NewRun("its gate was removed", beyond=4))
    assert (item.step, item.run, item.base_run, item.status) == ("submit", 5, 5, Status.READY)


def test_a_cancelled_item_ends_when_its_cancellation_is_done():
    (_, wanted), answer = moves_of_order("cancel", [replace(BEAM, step="follow")], 5.0)[0][0], "x"
    assert answer
    assert wanted.wanted == "cancel"
    assert go(wanted, Done()).status is Status.CANCELLED


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED, Status.HELD])
@pytest.mark.parametrize("outcome", [Done(), Wait(1, "x"), NewRun("x"), Permanent("x"), Unreachable("x")])
def test_an_item_that_is_not_live_does_not_move(status, outcome):
    item = replace(BEAM, status=status)
    with pytest.raises(IllegalMove):
        go(item, outcome)


def test_the_count_of_runs_starts_again_after_a_retry():
    failed = replace(BEAM, step="verify", status=Status.FAILED, run=3)
    case = replace(CASE, step="compare", status=Status.FAILED)
    (_, own), (_, again) = moves_of_order("retry", [case, failed], 7.0)[0]
    assert (own.step, own.status) == ("upload", Status.READY)  # its input may have been tidied away
    assert (again.step, again.run, again.base_run, again.status) == ("submit", 4, 4, Status.READY)
    assert go(replace(again, step="follow"), NewRun("again")).status is Status.READY


def test_hold_and_release_come_back_to_the_same_step():
    item = replace(CASE, step="upload", status=Status.WAITING, reason="host down")
    held = moves_of_order("hold", [item], 7.0)[0][0][1]
    assert held.status is Status.HELD
    back = moves_of_order("release", [held], 8.0)[0][0][1]
    assert (back.status, back.step, back.due) == (Status.READY, "upload", 8.0)


@pytest.mark.parametrize("order", ["hold", "release", "cancel", "retry"])
def test_an_order_for_an_ended_case_is_answered_with_the_reason(order):
    moves, answer = moves_of_order(order, [replace(CASE, step="tidy", status=Status.DONE)], 7.0)
    assert moves == []
    assert "nothing to" in answer or "not held" in answer


def test_only_a_finished_case_is_judged_again_and_its_beams_stay_as_they_are():
    done = replace(CASE, step="tidy", status=Status.DONE)
    beam = replace(BEAM, step="verify", status=Status.DONE)
    ((before, again),) = moves_of_order("rejudge", [done, beam], 7.0)[0]
    assert before == done
    assert (again.step, again.status, again.due) == ("compare", Status.READY, 7.0)
    for status in (Status.READY, Status.FAILED, Status.CANCELLED, Status.HELD):
        moves, answer = moves_of_order("rejudge", [replace(done, status=status)], 7.0)
        assert moves == []
        assert "only a case that is done" in answer


def test_backoff_doubles_is_capped_and_is_spread():
    assert [backoff(n, RETRY, 1.0) for n in (1, 2, 3, 99)] == [2, 4, 8, 60]
    assert backoff(3, RETRY, 0.0) == 4


OUTCOMES = st.one_of(
    st.just(Done()),
    st.builds(Wait, st.floats(0, 1e4), st.just("w")),
    st.just(NewRun("n")),
    st.sampled_from([Unreachable("u"), Transient("t"), Permanent("p"), HostKeyProblem("h")]),
)


@given(st.lists(st.tuples(OUTCOMES, st.sampled_from(["", "", "", "hold", "release", "cancel", "retry"])), max_size=40))
def test_an_item_stays_within_its_steps_for_any_outcomes(story):
    item, now = BEAM, 0.0
    names = {step.name for step in BEAM_STEPS}
    for outcome, order in story:
        now += 1
        if order:
            for before, moved in moves_of_order(order, [CASE, item], now)[0]:
                item = moved if before is item else item
        if item.status not in (Status.READY, Status.WAITING):
            continue
        before = item
        item = go(item, outcome, now)
        assert item.step in names
        assert item.run >= before.run
        assert item.run - before.run <= 1
        assert item.due >= now or item.status.ended
        if item.run > before.run:  # a new run only ever after word that the last one is over
            assert isinstance(outcome, NewRun)


def test_a_longer_run_sends_the_case_back_and_gives_each_beam_its_next_run():
    own = go(replace(CASE, step="extend"), Extend("the noise alone"))
    assert (own.step, own.status, own.reason, own.due) == ("prepare", Status.READY, "the noise alone", 1000.0)
    done = replace(BEAM, step="verify", status=Status.DONE, run=3)
    beam = extended(done, own, "the noise alone", 1000.0)
    assert (beam.step, beam.status, beam.run, beam.base_run) == ("submit", Status.READY, 4, 4)
    assert extended(done, replace(own, wanted="cancel"), "x", 1.0).wanted == "cancel"  # ordered at the same moment
