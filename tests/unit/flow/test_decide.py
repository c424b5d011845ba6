"""Whole lives of lines, in microseconds, through the one place where a state changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.case.faults import HostKeyProblem, Permanent, Transient, Unreachable
from mqi_communicator.case.model import CASE_LINE, Line, Status
from mqi_communicator.case.outcome import Done, Extend, NewRun, Wait
from mqi_communicator.flow.options import RetryOptions
from mqi_communicator.flow.steps.functions import PERFORM
from mqi_communicator.flow.steps.table import BEAM_STEPS, CASE_STEPS, after
from mqi_communicator.flow.transitions.decide import IllegalMove, backoff, decide, extended
from mqi_communicator.flow.transitions.orders import obey

pytestmark = pytest.mark.pure

RETRY = RetryOptions(first_s=2, cap_s=60, tries=4, max_runs=3, probe_s=100)
CASE = Line("k", CASE_LINE, "admit")
BEAM = Line("k", 2, "submit")


def go(line, outcome, now=1000.0, chance=0.5):
    return decide(line, outcome, now, after=after(line), retry=RETRY, chance=chance)[0]


@pytest.mark.parametrize(("line", "steps"), [(CASE, CASE_STEPS), (BEAM, BEAM_STEPS)])
def test_done_after_done_walks_the_whole_way(line, steps):
    seen = []
    while line.status is not Status.DONE:
        seen.append(line.step)
        line = go(line, Done())
    assert seen == [step.name for step in steps]


def test_every_step_of_the_way_can_be_performed():
    assert list(PERFORM) == [step.name for step in (*CASE_STEPS, *BEAM_STEPS)]


def test_the_last_word_of_a_step_ends_the_line():
    assert go(CASE, Done(last=True)).status is Status.DONE


def test_waiting_says_why_and_when():
    line = go(CASE, Wait(30, "2 of 40 CT slices are missing"))
    assert (line.status, line.due, line.reason) == (Status.WAITING, 1030.0, "2 of 40 CT slices are missing")


def test_an_outage_never_fails_a_line():
    line = BEAM
    for _ in range(500):
        line = go(line, Unreachable("no answer"))
    assert line.status is Status.WAITING
    assert line.due - 1000 <= RETRY.cap_s


def test_an_outage_takes_no_try_from_what_comes_after_it():
    line = go(BEAM, Transient("hiccup"))
    for _ in range(500):
        line = go(line, Unreachable("no answer"))
    for _ in range(RETRY.tries - 2):
        line = go(line, Transient("hiccup"))
        assert line.status is Status.WAITING
    assert go(line, Transient("hiccup")).status is Status.FAILED


def test_other_transient_faults_fail_after_the_last_try():
    line = BEAM
    for _ in range(RETRY.tries - 1):
        line = go(line, Transient("hiccup"))
        assert line.status is Status.WAITING
    assert go(line, Transient("hiccup")).status is Status.FAILED


def test_needing_a_person_waits_and_probes_and_goes_on_by_itself():
    line = go(BEAM, HostKeyProblem("host key changed", "compare the fingerprints"))
    assert (line.status, line.needs_person, line.due) == (Status.WAITING, True, 1100.0)
    assert line.advice == "compare the fingerprints"
    line = go(line, Done())
    assert (line.status, line.needs_person, line.step) == (Status.READY, False, "follow")


def test_a_run_without_a_result_begets_the_next_and_the_last_fails():
    line = replace(BEAM, step="follow")
    line = go(line, NewRun("crashed at save"))
    assert (line.step, line.run, line.status) == ("submit", 2, Status.READY)
    line = go(replace(line, step="follow"), NewRun("crashed at save"))
    line = go(replace(line, step="follow"), NewRun("crashed at save"))
    assert (line.run, line.status) == (3, Status.FAILED)
    assert "3 runs" in line.reason


def test_a_run_after_spent_ones_counts_anew():
    line = go(replace(BEAM, step="submit", run=2), NewRun("its gate was removed", beyond=4))
    assert (line.step, line.run, line.base_run, line.status) == ("submit", 5, 5, Status.READY)


def test_a_cancelled_line_ends_when_its_withdrawal_is_done():
    (_, wanted), answer = obey("cancel", [replace(BEAM, step="follow")], 5.0)[0][0], "x"
    assert answer
    assert wanted.wanted == "cancel"
    assert go(wanted, Done()).status is Status.CANCELLED


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED, Status.HELD])
@pytest.mark.parametrize("outcome", [Done(), Wait(1, "x"), NewRun("x"), Permanent("x"), Unreachable("x")])
def test_a_line_that_is_not_live_does_not_move(status, outcome):
    line = replace(BEAM, status=status)
    with pytest.raises(IllegalMove):
        go(line, outcome)


def test_a_retried_beam_counts_its_runs_anew():
    failed = replace(BEAM, step="verify", status=Status.FAILED, run=3)
    case = replace(CASE, step="compare", status=Status.FAILED)
    (_, own), (_, again) = obey("retry", [case, failed], 7.0)[0]
    assert (own.step, own.status) == ("upload", Status.READY)  # its input may have been tidied away
    assert (again.step, again.run, again.base_run, again.status) == ("submit", 4, 4, Status.READY)
    assert go(replace(again, step="follow"), NewRun("again")).status is Status.READY


def test_hold_and_release_come_back_to_the_same_step():
    line = replace(CASE, step="upload", status=Status.WAITING, reason="host down")
    held = obey("hold", [line], 7.0)[0][0][1]
    assert held.status is Status.HELD
    back = obey("release", [held], 8.0)[0][0][1]
    assert (back.status, back.step, back.due) == (Status.READY, "upload", 8.0)


@pytest.mark.parametrize("order", ["hold", "release", "cancel", "retry"])
def test_an_order_to_an_ended_case_says_that_there_is_nothing_to_do(order):
    moves, answer = obey(order, [replace(CASE, step="tidy", status=Status.DONE)], 7.0)
    assert moves == []
    assert "nothing to" in answer or "not held" in answer


def test_only_a_finished_case_is_judged_again_and_its_beams_stay_as_they_are():
    done = replace(CASE, step="tidy", status=Status.DONE)
    beam = replace(BEAM, step="verify", status=Status.DONE)
    ((before, again),) = obey("rejudge", [done, beam], 7.0)[0]
    assert before == done
    assert (again.step, again.status, again.due) == ("compare", Status.READY, 7.0)
    for status in (Status.READY, Status.FAILED, Status.CANCELLED, Status.HELD):
        moves, answer = obey("rejudge", [replace(done, status=status)], 7.0)
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
def test_whatever_happens_a_line_stays_on_its_way(story):
    line, now = BEAM, 0.0
    names = {step.name for step in BEAM_STEPS}
    for outcome, order in story:
        now += 1
        if order:
            for before, moved in obey(order, [CASE, line], now)[0]:
                line = moved if before is line else line
        if line.status not in (Status.READY, Status.WAITING):
            continue
        before = line
        line = go(line, outcome, now)
        assert line.step in names
        assert line.run >= before.run
        assert line.run - before.run <= 1
        assert line.due >= now or line.status.ended
        if line.run > before.run:  # a new run only ever after word that the last one is over
            assert isinstance(outcome, NewRun)


def test_a_longer_run_sends_the_case_back_and_gives_each_beam_its_next_run():
    own = go(replace(CASE, step="extend"), Extend("the noise alone"))
    assert (own.step, own.status, own.reason, own.due) == ("prepare", Status.READY, "the noise alone", 1000.0)
    done = replace(BEAM, step="verify", status=Status.DONE, run=3)
    beam = extended(done, own, "the noise alone", 1000.0)
    assert (beam.step, beam.status, beam.run, beam.base_run) == ("submit", Status.READY, 4, 4)
    assert extended(done, replace(own, wanted="cancel"), "x", 1.0).wanted == "cancel"  # ordered at the same moment
