"""Checks of a fraction with one or two limits. Pure."""

from __future__ import annotations

from mqi_communicator.case.numbers import short
from mqi_communicator.results.verdict import Check, CheckOutcome

_DIGITS = 2  # a value is judged as it is shown: 1.004 mm are 1.00 mm


def graded(name: str, scope: str, value: float, unit: str, steps: tuple[float, float], note: str) -> Check:
    """A check whose value passes up to the first limit in size, and is for review up to the second."""
    passes, reviews = steps
    value, outcome = round(value, _DIGITS), outcome_of(value, steps)
    limit = f"<= {short(passes, 2)} {unit} pass, <= {short(reviews, 2)} {unit} review"
    return Check(name, scope, outcome, value, unit, limit, None, None, note)


def outcome_of(value: float, steps: tuple[float, float]) -> CheckOutcome:
    """Pass up to the first limit in size, review up to the second."""
    size, (passes, reviews) = abs(round(value, _DIGITS)), steps
    if size <= passes:
        return CheckOutcome.PASS
    return CheckOutcome.REVIEW if size <= reviews else CheckOutcome.FAIL


def not_judged(name: str, scope: str, note: str, *, limit: str) -> Check:
    """A check for which the record has nothing."""
    return Check(name, scope, CheckOutcome.NOT_JUDGED, None, "", limit, None, None, note)
