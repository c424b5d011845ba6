"""How outcomes of checks combine."""

from __future__ import annotations

from itertools import permutations

import pytest

from mqi_communicator.results.verdict import Check, CheckOutcome, unjudged, worst

pytestmark = pytest.mark.pure


def check(outcome, name="gamma", scope="plan", note=""):
    return Check(name, scope, outcome, 1.0, "%", "limit", 1, None, note)


def test_the_worst_outcome_wins_in_any_order():
    ranked = [
        CheckOutcome.PASS,
        CheckOutcome.REVIEW,
        CheckOutcome.UNDECIDED,
        CheckOutcome.NOT_JUDGED,
        CheckOutcome.FAIL,
    ]
    for some in permutations(ranked, 3):
        assert worst(tuple(check(w) for w in some)).outcome is max(some, key=ranked.index)


def test_no_check_is_not_a_pass():
    assert worst(()).outcome is CheckOutcome.NOT_JUDGED


def test_without_a_basis_all_outcomes_are_not_judged_and_values_are_kept():
    verdict = unjudged((check(CheckOutcome.FAIL), check(CheckOutcome.PASS)), ("not commissioned",))
    assert {c.outcome for c in verdict.checks} == {CheckOutcome.NOT_JUDGED}
    assert [c.value for c in verdict.checks] == [None, 1.0, 1.0]
    assert verdict.why == "not commissioned"
