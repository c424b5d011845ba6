"""What the demo says about its sample: only what the checks of the case have."""

from __future__ import annotations

import pytest

from mqi_communicator.demo.special import SPECIAL, special_lines
from mqi_communicator.results.reference import CHECKS


def check(name, scope):
    return {"name": name, "scope": scope, "word": "pass"}


def test_the_checks_are_named_with_every_scope():
    checks = [check("removed_material", "beam 1"), check("removed_material", "beam 2"), check("gamma", "plan")]
    heading, line = special_lines(checks)
    assert heading.endswith(":")
    assert line.startswith("  removed_material: ")
    assert line.endswith(" in beam 1 and beam 2")


def test_nothing_is_said_of_a_case_without_them():
    assert list(special_lines([check("gamma", "plan")])) == []


@pytest.mark.parametrize("name", SPECIAL)
def test_each_is_a_check(name):
    assert name in CHECKS
