"""The queue of a host, played through in the mind."""

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


def test_what_runs_frees_its_places_first():
    queue = [Queued("a", (4.0,), 1), Queued("b", (), 1)]
    assert ready_in(queue, width=1, job_s=10, tail_s=1) == {"a": 15, "b": 25}


def test_whoever_stands_behind_comes_later():
    queue = [Queued(name, (), 2) for name in "abc"]
    assert ready_in(queue, width=2, job_s=10, tail_s=0) == {"a": 10, "b": 20, "c": 30}


CASES = st.lists(st.tuples(st.lists(st.floats(0, 100), max_size=3), st.integers(0, 5)), min_size=1, max_size=8)


@given(CASES, st.integers(1, 5))
def test_no_case_is_promised_sooner_than_its_own_work_takes(found: list[tuple[list[float], int]], width: int):
    queue = [Queued(str(n), tuple(running), waiting) for n, (running, waiting) in enumerate(found)]
    ready = ready_in(queue, width=width, job_s=10, tail_s=3)
    most = max(width, sum(len(case.running) for case in queue))  # what runs, runs, whatever the width
    for case in queue:
        rounds = -(-case.waiting // most)
        assert ready[case.case] >= max([*case.running, 10 * rounds]) + 3 - 1e-9


def place(name: str, **values: Any) -> HostEstimate:
    return replace(HostEstimate(name, paused=False, slots=4, busy=0, waiting=0, job_s=100.0), **values)


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([place("a"), place("b")], "a"),
        ([place("a", busy=4), place("b", busy=3)], "b"),
        ([place("a", busy=4, job_s=10.0), place("b", busy=4, waiting=9)], "a"),
        ([place("a", paused=True), place("b", busy=4, waiting=40)], "b"),
        ([place("a", paused=True, busy=4), place("b", paused=True)], "b"),
        ([place("a", slots=1), place("b", slots=8)], "b"),
    ],
)
def test_a_case_goes_where_it_can_begin_first(others: list[HostEstimate], chosen: str):
    assert best(others, beams=3) == chosen
