"""Statistical uncertainty of the sum of Monte Carlo beam doses, and its check. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.dicom.records import Dose
from mqi_communicator.results.grids import box_of, cut, on_grid
from mqi_communicator.results.options import UncertaintyOptions
from mqi_communicator.results.sources import DoseSource, source
from mqi_communicator.results.verdict import Check, CheckOutcome

_HIGH = 0.5  # of the maximum


@dataclass(frozen=True, slots=True)
class Noise:
    """Statistical noise of a sum of beams."""

    relative: float | None  # 1 sigma, mean where the planned dose is >= 50 % of its maximum; None if nothing is there
    variances: tuple[float, ...]  # Gy: by beam, the variance of a voxel divided by the beam's dose in it


def noise_of(beams: Sequence[Dose | DoseSource], planned: Dose) -> Noise | None:
    """The noise of the sum. None if a beam reports no uncertainty.

    Beams are independent runs, so variances add. Within a beam the absolute uncertainty goes with the square root of
    dose (counting statistics), anchored at the beam's own reported value, which is a mean where its dose is high: at
    least half of its maximum in that region. (Its overall maximum may be one voxel of a cavity.)
    """
    import numpy as np

    top = float(np.nanmax(planned.gy, initial=0.0))
    if top <= 0 or not beams:
        return None
    high = planned.gy >= _HIGH * top
    box = box_of(high)
    grid, there = cut(planned, box).grid, high[box]
    total = np.zeros(int(there.sum()))
    variance = np.zeros_like(total)
    factors: list[float] = []
    for beam in beams:
        if beam.uncertainty is None:
            return None
        dose = np.maximum(np.nan_to_num(on_grid(source(beam).read(), grid)[there]), 0)
        peak = float(dose.max(initial=0.0))
        anchor = float(dose[dose >= _HIGH * peak].mean()) if peak > 0 else 0.0
        factors.append(beam.uncertainty**2 * anchor)
        total += dose
        variance += factors[-1] * dose
    hit = total > 0
    relative = float((np.sqrt(variance[hit]) / total[hit]).mean()) if hit.any() else None
    return Noise(relative, tuple(factors))


def combined_uncertainty(beams: Sequence[Dose | DoseSource], planned: Dose) -> float | None:
    """Relative uncertainty (1 sigma) of the sum, mean where the planned dose is >= 50 % of its maximum.

    None if a beam reports none.
    """
    noise = noise_of(beams, planned)
    return None if noise is None else noise.relative


def histories_factor(value: float, options: UncertaintyOptions) -> float:
    """How many times as many histories bring a relative uncertainty below the limit, with a margin of 10 %.

    Noise goes with one over the square root of the histories.
    """
    return 1.1 * (value * 100 / options.limit_percent) ** 2


def uncertainty_check(value: float | None, options: UncertaintyOptions, points: int | None = None) -> Check:
    """Judge whether the statistics are sufficient. More noise never improves a verdict."""
    limit = options.limit_percent
    if value is None:
        outcome = CheckOutcome.UNDECIDED
        note = "the engine reports no statistical uncertainty: configure it to report one"
    elif value * 100 <= limit:
        outcome, note = (
            CheckOutcome.PASS,
            f"{value * 100:.2f} % (1 sigma) where the planned dose is >= 50 % of its maximum",
        )
    else:
        outcome = CheckOutcome.UNDECIDED
        note = (
            f"{value * 100:.2f} % (1 sigma) is too high for a verdict: "
            f"{histories_factor(value, options):.1f} times as many histories are needed"
        )
    return Check(
        name="uncertainty",
        scope="plan",
        outcome=outcome,
        value=None if value is None else value * 100,
        unit="%",
        limit=f"<= {limit:g} % where planned >= 50 % of maximum",
        points=points,
        uncertainty=value,
        note=note,
    )
