"""Which end the next life of the communicator is planned to have."""

from __future__ import annotations

from typing import Any

from tests.faults.ground import replan


def _after(points: list[str], ended: str, *, hit: bool) -> list[str]:
    plan: list[dict[str, Any]] = [{"point": point, "nth": 1} for point in points]
    replan(plan, ended, hit=hit)
    return [life["point"] for life in plan]


def test_a_point_that_was_not_hit_gets_another_turn_after_the_next():
    assert _after(["send:before", "fetch:before"], "ask:poll:before", hit=False) == [
        "send:before",
        "ask:poll:before",
        "fetch:before",
    ]
    assert _after([], "ask:poll:before", hit=False) == ["ask:poll:before"]


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
