"""The breaker opens on failures, sends one probe, and closes automatically."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.flow.hosts.breaker import Breaker, admit, failed, succeeded
from mqi_communicator.flow.options import BreakerOptions

pytestmark = pytest.mark.pure

OPTIONS = BreakerOptions(window=4, failures=2, open_s=10, open_cap_s=40, slow_calls=3, slow_share=0.5, back_s=5)


def opened(now=100.0):
    return failed(failed(Breaker(), now, "refused", OPTIONS), now, "refused", OPTIONS)


def test_one_failure_among_many_changes_nothing():
    state = failed(Breaker(), 0.0, "x", OPTIONS)
    for _ in range(4):
        state = succeeded(state, 0.0, OPTIONS)
    assert failed(state, 0.0, "x", OPTIONS).state == "closed"


def test_enough_failures_open_it_and_calls_wait():
    state = opened()
    assert state.state == "open"
    same, pause = admit(state, 104.0, OPTIONS)
    assert (same, pause) == (state, 6.0)


def test_one_probe_is_sent_and_a_second_call_waits():
    probing, pause = admit(opened(), 110.0, OPTIONS)
    assert (probing.state, pause) == ("half_open", 0.0)
    assert admit(probing, 110.5, OPTIONS)[1] > 0


def test_a_recovering_host_gets_one_call_then_two_then_all():
    probing, _ = admit(opened(), 110.0, OPTIONS)
    back = succeeded(probing, 111.0, OPTIONS)
    assert (back.state, back.recovering) == ("half_open", True)
    assert [admit(back, 111.0, OPTIONS, out)[1] for out in (0, 1, 2, 3)] == [0, 0, 5, 5]
    assert succeeded(back, 112.0, OPTIONS) == Breaker()


def test_a_failure_during_recovery_opens_it_for_longer():
    back = succeeded(admit(opened(), 110.0, OPTIONS)[0], 111.0, OPTIONS)
    state = failed(back, 112.0, "refused", OPTIONS)
    assert (state.state, state.probe_at - 112.0, state.opened_at) == ("open", 20, 100.0)


def test_slow_answers_open_it_and_are_named_as_the_reason():
    state = Breaker()
    for share in (0.9, 0.1, 0.6, 0.9):
        assert state.state == "closed"
        state = succeeded(state, 50.0, OPTIONS, share)
    assert (state.state, state.probe_at) == ("open", 60.0)
    assert "too slowly" in state.why
    assert "90 %" in state.why


def test_slow_answers_outside_the_window_do_not_open_it():
    state = Breaker()
    for share in (0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9):
        state = succeeded(state, 50.0, OPTIONS, share)
    assert state.state == "closed"


def test_a_probe_that_is_answered_too_slowly_opens_it_again():
    probing, _ = admit(opened(), 110.0, OPTIONS)
    assert succeeded(probing, 111.0, OPTIONS, 0.9).state == "open"


@given(st.lists(st.tuples(st.sampled_from(["ask", "good", "slow", "bad"]), st.floats(0, 30)), max_size=60))
def test_it_always_closes_again_and_never_exceeds_its_limit_of_calls(story):
    state, now, out = Breaker(), 0.0, 0
    for what, pause in story:
        now += pause
        if what == "ask":
            state, wait = admit(state, now, OPTIONS, out)
            if wait == 0:
                out += 1
                assert state.state == "closed" or not state.recovering or out <= 2**state.answered
        elif out:
            out -= 1
            if what == "bad":
                state = failed(state, now, "x", OPTIONS)
            else:
                state = succeeded(state, now, OPTIONS, 0.9 if what == "slow" else 0.0)
        assert Breaker.from_json(state.to_json()) == state
    for _ in range(4):
        now += OPTIONS.open_cap_s
        state, wait = admit(state, now, OPTIONS, 0)
        assert wait == 0
        state = succeeded(state, now, OPTIONS)
    assert state.state == "closed"


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap():
    state, now, pauses = opened(), 100.0, []
    for _ in range(4):
        now = state.probe_at
        probing, _ = admit(state, now, OPTIONS)
        state = failed(probing, now, "refused", OPTIONS)
        pauses.append(state.probe_at - now)
    assert pauses == [20, 40, 40, 40]


def test_a_late_failure_does_not_extend_the_pause():
    state = opened()
    assert failed(state, 105.0, "late", OPTIONS) == state


def test_a_late_success_counts_as_a_probe():
    assert succeeded(opened(), 101.0, OPTIONS).recovering


def test_it_survives_a_restart():
    assert Breaker.from_json(opened().to_json()) == opened()


def test_a_clock_that_is_set_back_delays_no_call():
    state = opened(now=3700.0)
    probing, pause = admit(state, 100.0, OPTIONS)
    assert (probing.state, pause) == ("half_open", 0.0)
    assert admit(probing, 101.0, OPTIONS)[1] == 9.0


def test_the_state_of_a_version_without_slow_calls_is_read():
    old = '{"state": "open", "recent": [], "opened_at": 1, "probe_at": 2, "openings": 1, "why": "x"}'
    assert Breaker.from_json(old).openings == 1
