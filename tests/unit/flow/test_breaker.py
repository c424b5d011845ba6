"""The breaker opens on failures, lets one probe out, and closes by itself."""

from __future__ import annotations

import pytest

from mqi_communicator.flow.breaker import Breaker, admit, failed, succeeded
from mqi_communicator.flow.options import BreakerOptions

pytestmark = pytest.mark.pure

OPTIONS = BreakerOptions(window=4, failures=2, open_s=10, open_cap_s=40)


def opened(now=100.0):
    return failed(failed(Breaker(), now, "refused", OPTIONS), now, "refused", OPTIONS)


def test_one_failure_among_many_changes_nothing():
    state = failed(Breaker(), 0.0, "x", OPTIONS)
    for _ in range(4):
        state = succeeded(state, OPTIONS)
    assert failed(state, 0.0, "x", OPTIONS).state == "closed"


def test_enough_failures_open_it_and_calls_wait():
    state = opened()
    assert state.state == "open"
    same, pause = admit(state, 104.0, OPTIONS)
    assert (same, pause) == (state, 6.0)


def test_one_probe_goes_out_and_a_second_waits():
    probing, pause = admit(opened(), 110.0, OPTIONS)
    assert (probing.state, pause) == ("half_open", 0.0)
    assert admit(probing, 110.5, OPTIONS)[1] > 0


def test_a_probe_that_is_answered_closes_it():
    probing, _ = admit(opened(), 110.0, OPTIONS)
    assert succeeded(probing, OPTIONS) == Breaker()


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap():
    state, now, pauses = opened(), 100.0, []
    for _ in range(4):
        now = state.probe_at
        probing, _ = admit(state, now, OPTIONS)
        state = failed(probing, now, "refused", OPTIONS)
        pauses.append(state.probe_at - now)
    assert pauses == [20, 40, 40, 40]


def test_a_straggler_does_not_lengthen_the_pause():
    state = opened()
    assert failed(state, 105.0, "late", OPTIONS) == state


def test_a_success_of_a_call_that_began_before_it_opened_closes_it():
    assert succeeded(opened(), OPTIONS).state == "closed"


def test_it_survives_a_restart():
    assert Breaker.from_json(opened().to_json()) == opened()


def test_a_clock_that_is_set_back_holds_nobody_up():
    state = opened(now=3700.0)
    probing, pause = admit(state, 100.0, OPTIONS)
    assert (probing.state, pause) == ("half_open", 0.0)
    assert admit(probing, 101.0, OPTIONS)[1] == 9.0
