"""The numbers of a fraction that are kept for trends over fractions. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.case.figure import FRACTION, Figure
from mqi_communicator.results.trend import OF_FRACTIONS
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

if TYPE_CHECKING:
    from mqi_communicator.treatment.fractions import Fraction


def figures_of_fraction(key: str, fraction: Fraction, verdict: Verdict, now: float) -> list[Figure]:
    """For each column of the trend, the largest value of the fraction, with the machine that recorded it.

    Checks that are not judged give none: a record that repeats the plan has no errors to follow. A fraction that
    several machines delivered gives none: no machine has all of its values.
    """
    parts = [part for beam in fraction.beams for part in beam.parts]
    machines = {part.delivery.machine or part.planned.machine for part in parts}
    if len(machines) != 1:
        return []
    (machine,) = machines
    found = []
    for name in OF_FRACTIONS:
        checks = [one for one in verdict.checks if one.name == name and _has_value(one)]
        if checks:
            largest = max(checks, key=lambda one: abs(one.value or 0.0))
            word = max((one.outcome for one in checks), key=lambda one: one.severity)
            found.append(Figure(key, name, FRACTION, now, machine, word.value, largest.value, largest.unit))
    return found


def _has_value(check: Check) -> bool:
    return check.value is not None and check.outcome is not CheckOutcome.NOT_JUDGED
