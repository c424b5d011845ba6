"""The simulated queue of a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.flow.hosts.compute_hosts import HostEstimate, best
from mqi_communicator.flow.hosts.eta import Queued, ready_in

pytestmark = pytest.mark.pure


def test_a_case_alone_takes_its_rounds():
    assert ready_in([Queued("a", (), 3)], width=2, job_s=10, tail_s=5) == {"a": 25}


def test_running_jobs_free_their_slots_first():
    queue = [Queued("a", (4.0,), 1), Queued("b", (), 1)]
    assert ready_in(queue, width=1, job_s=10, tail_s=1) == {"a": 15, "b": 25}


def test_a_case_further_back_is_ready_later():
    queue = [Queued(name, (), 2) for name in "abc"]
    assert ready_in(queue, width=2, job_s=10, tail_s=0) == {"a": 10, "b": 20, "c": 30}


CASES = st.lists(st.tuples(st.lists(st.floats(0, 100), max_size=3), st.integers(0, 5)), min_size=1, max_size=8)


@given(CASES, st.integers(1, 5))
def test_no_case_is_forecast_sooner_than_its_own_work_takes(found: list[tuple[list[float], int]], width: int):
    queue = [Queued(str(n), tuple(running), waiting) for n, (running, waiting) in enumerate(found)]
    ready = ready_in(queue, width=width, job_s=10, tail_s=3)
    most = max(width, sum(len(case.running) for case in queue))  # what runs, runs, whatever the width
    for case in queue:
        rounds = -(-case.waiting // most)
        assert ready[case.case] >= max([*case.running, 10 * rounds]) + 3 - 1e-9


def estimate(name: str, **values: Any) -> HostEstimate:
    return replace(HostEstimate(name, paused=False, slots=4, busy=0, waiting=0, job_s=100.0), **values)


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([estimate("a"), estimate("b")], "a"),
        ([estimate("a", busy=4), estimate("b", busy=3)], "b"),
        ([estimate("a", busy=4, job_s=10.0), estimate("b", busy=4, waiting=9)], "a"),
        ([estimate("a", paused=True), estimate("b", busy=4, waiting=40)], "b"),
        ([estimate("a", paused=True, busy=4), estimate("b", paused=True)], "b"),
        ([estimate("a", slots=1), estimate("b", slots=8)], "b"),
    ],
)
def test_a_case_is_assigned_where_it_can_start_first(others: list[HostEstimate], chosen: str):
    assert best(others, beams=3) == chosen
