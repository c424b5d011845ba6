"""Whether there is a basis for judging a beam: not if its log was read with an uncommissioned calibration. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mqi_communicator.results.delivered.layer import numbers_of
from mqi_communicator.results.delivered.limits import not_judged
from mqi_communicator.results.verdict import Check, CheckOutcome

if TYPE_CHECKING:
    from mqi_communicator.treatment.fractions import Fraction, FractionBeam


def reasons_of(beam: FractionBeam) -> tuple[str, ...]:
    """Why what is recorded of a beam must not be judged, each reason once; empty if it may be."""
    return tuple(dict.fromkeys(reason for part in beam.parts for reason in part.delivery.not_to_judge))


def reasons_without_dose(fraction: Fraction) -> tuple[str, ...]:
    """Why the dose of a fraction must not be judged: what is recorded of a beam must not be, or repeats the plan."""
    found = [reason for beam in fraction.beams for reason in reasons_of(beam)]
    for beam in fraction.beams:
        echoes = [numbers_of(layer).echoes[:2] for layer in beam.layers]
        if all(positions for positions, _ in echoes) or all(mu for _, mu in echoes):
            number = beam.planned.own_number
            found.append(f"the record of beam {number} repeats the plan in every spot, so it is no measurement")
    return tuple(dict.fromkeys(found))


def basis_of(beams: Iterable[FractionBeam]) -> Iterator[Check]:
    """A check that names the reasons, for each beam that has any."""
    for beam in beams:
        if reasons := reasons_of(beam):
            scope = f"beam {beam.planned.own_number}"
            yield not_judged("basis", scope, "; ".join(reasons), limit="a basis for a verdict")


def without_outcome(check: Check) -> Check:
    """The check with its value, and no outcome."""
    return replace(check, outcome=CheckOutcome.NOT_JUDGED)
