"""Which end the next life of the communicator is planned to have."""

from __future__ import annotations

from typing import Any

from tests.faults.testbed import replan


def _after(points: list[str], ended: str, *, hit: bool, seen: bool = True) -> list[str]:
    plan: list[dict[str, Any]] = [{"point": point, "nth": 1} for point in points]
    replan(plan, ended, hit=hit, seen=seen)
    return [life["point"] for life in plan]


def test_a_point_that_was_not_hit_gets_another_turn_after_the_others():
    plan = ["send:before", "fetch:before"]
    assert _after(plan, "request:poll:before", hit=False) == [*plan, "request:poll:before"]
    assert _after([], "request:poll:before", hit=False) == ["request:poll:before"]


def test_what_needs_the_end_that_was_comes_next():
    plan = ["send:before", "rmtree:part:before", "rmtree:part:after"]
    assert _after(plan, "rename:delivered:before", hit=True)[0] == "rmtree:part:before"
    assert _after(["send:before", "rmtree:part:after"], "rmtree:part:before", hit=True)[0] == "rmtree:part:after"
    assert _after(plan, "send:after", hit=True) == plan


def test_what_was_missed_gets_the_end_again_that_it_needs():
    assert _after(["send:before"], "rmtree:part:before", hit=False) == [
        "send:before",
        "rename:delivered:before",
        "rmtree:part:before",
    ]


def test_what_comes_once_is_next_until_it_has_come_and_then_no_more():
    plan, once = ["send:before"], "store:constancy.begin:before"
    assert _after(plan, once, hit=False, seen=False) == [once, *plan]
    assert _after(plan, once, hit=False, seen=True) == plan
