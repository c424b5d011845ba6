"""Clinical goals in planned and computed dose, with the effect of statistical noise on the computed values. Pure.

Noise widens a dose-volume histogram: it raises D2 and lowers D98. How much is found by adding noise of the same size
to the planned dose, several times: the mean change of a value is its shift by noise, the spread its uncertainty. A goal
whose limit is within both is undecided. Voxels are taken to be independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Biology, Dose, Extent, Grid
from mqi_communicator.results.clinical_goals import RBE, ClinicalGoals, Goal
from mqi_communicator.results.coverage import Contour
from mqi_communicator.results.dvh import Histogram, histograms, plane_of, sampler
from mqi_communicator.results.goal_result import GoalOutcome, GoalResult
from mqi_communicator.results.sources import DoseSource
from mqi_communicator.results.sums import Sum
from mqi_communicator.results.uncertainty import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.results.coverage import Slab

_TRIES = 8  # of adding noise
_SPREADS = 2.0  # standard deviations that a limit must be away
_OUTSIDE = 0.01  # of a structure: if more of it is outside a dose grid, its goals are not judged


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The structures and prescriptions of a case. Names are never put into a result."""

    structures: Sequence[tuple[int, str, Sequence[Contour]]]  # ROINumber, name, contours
    prescriptions: Mapping[int | None, float]  # Gy of the course by ROINumber; None: of the plan

    @property
    def slice_mm(self) -> float | None:
        """The smallest distance of contours; None if all are in one plane."""
        levels = sorted({z for _number, _name, contours in self.structures for z, _ in contours})
        return min((b - a for a, b in pairwise(levels)), default=None)

    def prescription(self, number: int) -> float | None:
        """The prescription that applies to a structure: its own, or the only one of the plan."""
        if number in self.prescriptions:
            return self.prescriptions[number]
        doses = set(self.prescriptions.values())
        return doses.pop() if len(doses) == 1 else None


@dataclass(frozen=True, slots=True)
class GoalDoses:
    """What goals are judged on: planned and computed dose of the plan. The computed one is 0 outside its grid."""

    planned: Dose
    total: Dose
    variance: NDArray[np.float32] | None  # of the computed dose, in Gy², on its grid; None if the noise is unknown
    fractions: int


def variance_of(beams: Sequence[DoseSource], noise: Noise | None, grid: Grid) -> NDArray[np.float32] | None:
    """The variance of the sum of beams in each voxel, in Gy², beam by beam; None if it is unknown."""
    if noise is None:
        return None
    total = Sum(grid)
    for factor, beam in zip(noise.variances, beams, strict=True):
        dose = beam.read()
        total.add(replace(dose, gy=np.float32(factor) * np.maximum(np.nan_to_num(dose.gy), 0)))
    return total.dose(beams[0].dose_type).gy


def goals_of(options: ClinicalGoals, anatomy: Anatomy, doses: GoalDoses) -> tuple[GoalResult, ...]:
    """All goals of all structures whose names match, by structure."""
    made: list[GoalResult] = []
    top = 1.2 * max(float(np.nanmax(dose.gy, initial=0.0)) for dose in (doses.planned, doses.total))
    slice_mm = anatomy.slice_mm or doses.planned.grid.spacing[2]
    for number, name, contours in anatomy.structures:
        goals = options.of(name)
        if goals and contours:
            found = histograms(contours, slice_mm, _fields(doses, contours, number), top)
            made += [_result(goal, number, found, anatomy.prescription(number), doses) for goal in goals]
    return tuple(made)


def _result(
    goal: Goal,
    number: int,
    found: tuple[list[Histogram], float, float] | None,
    prescription: float | None,
    doses: GoalDoses,
) -> GoalResult:
    nothing = GoalResult(number, goal.text, goal.unit, goal.limit, None, None, None, None, None, GoalOutcome.NOT_JUDGED)
    if found is None:
        return replace(nothing, note="the structure is outside the dose grids")
    values, volume, covered = found
    reason = _obstacle(goal, volume * covered, prescription, doses.planned)
    if reason:
        return replace(nothing, note=reason)
    scale = _per_gy(goal, prescription, doses)
    planned, computed, *noisy = (_value(goal, one, volume * covered, scale) for one in values)
    made = replace(nothing, planned=planned, computed=computed, planned_meets=_meets(goal, planned))
    if noisy:
        shift, spread = float(np.mean(noisy)) - planned, float(np.std(noisy, ddof=1))
        low, high = computed - max(shift, 0) - _SPREADS * spread, computed - min(shift, 0) + _SPREADS * spread
        made = replace(made, low=max(low, 0.0), high=high)
    if covered < 1 - _OUTSIDE:
        return replace(made, note=f"{100 * (1 - covered):.1f} % of the structure is outside the dose grids")
    return _judged(goal, made)


def _judged(goal: Goal, made: GoalResult) -> GoalResult:
    if made.low is None or made.high is None:
        return replace(made, outcome=GoalOutcome.UNDECIDED, note="the statistical uncertainty is unknown")
    ends = {_meets(goal, made.low), _meets(goal, made.high)}
    if len(ends) > 1:
        return replace(made, outcome=GoalOutcome.UNDECIDED, note="the limit is within the statistical uncertainty")
    return replace(made, outcome=GoalOutcome.MET if ends.pop() else GoalOutcome.NOT_MET)


def _meets(goal: Goal, value: float) -> bool:
    return value >= goal.limit if goal.at_least else value <= goal.limit


def _obstacle(goal: Goal, volume_cc: float, prescription: float | None, planned: Dose) -> str:
    """Why a goal cannot be evaluated; empty if it can."""
    unit = unit_of(planned)
    if goal.dose_unit in ("Gy", RBE) and goal.dose_unit != unit:
        return f"the goal is in {goal.dose_unit}, the planned dose in {unit}"
    if goal.dose_unit == "%" and not prescription:
        return "the plan has no prescription, or several of which none is of this structure: write the goal in Gy"
    if goal.quantity == "D" and goal.at_unit == "cc" and volume_cc < goal.at:
        return f"the structure has {volume_cc:.3f} cc"
    return ""


def unit_of(dose: Dose) -> str:
    """Gy, or Gy(RBE)."""
    return RBE if dose.dose_type.biology is Biology.RBE else "Gy"


def _per_gy(goal: Goal, prescription: float | None, doses: GoalDoses) -> float:
    """What 1 Gy of the judged doses is in the unit of the goal's dose."""
    own = doses.planned.dose_type.extent
    factor = 1.0
    if goal.dose_unit == "%":
        factor = 100 / (prescription or 1.0)  # the prescription is of the course
        return factor * (doses.fractions if own is Extent.FRACTION else 1)
    if own is not goal.extent:
        factor = 1 / doses.fractions if own is Extent.COURSE else doses.fractions
    return factor


def _value(goal: Goal, histogram: Histogram, volume_cc: float, per_gy: float) -> float:
    if goal.quantity == "mean":
        return histogram.mean * per_gy
    if goal.quantity == "D":
        percent = goal.at if goal.at_unit == "%" else 100 * goal.at / volume_cc
        return histogram.dose_at(percent) * per_gy
    percent = histogram.volume_at(goal.at / per_gy)
    return percent if goal.unit == "%" else percent / 100 * volume_cc


def _fields(doses: GoalDoses, contours: Sequence[Contour], number: int) -> Callable[[Slab], NDArray[np.float64]]:
    """Planned and computed dose, and the planned dose with noise, several times."""
    planned = sampler(doses.planned.grid, plane_of(doses.planned))
    computed = sampler(doses.total.grid, plane_of(doses.total), outside=0.0)
    if doses.variance is None:
        return lambda slab: np.concatenate([planned(slab), computed(slab)])
    rough = sampler(doses.total.grid, _Rough(doses.variance, doses.total.grid, contours, number), outside=0.0)

    def sample(slab: Slab) -> NDArray[np.float64]:
        before = planned(slab)
        return np.concatenate([before, computed(slab), np.maximum(before + rough(slab), 0)])

    return sample


class _Rough:
    """Planes of noise of the computed dose around a structure: always the same for the same structure."""

    def __init__(self, variance: NDArray[np.float32], grid: Grid, contours: Sequence[Contour], number: int) -> None:
        self._box = _box(grid, np.concatenate([corners for _z, corners in contours]))
        self._variance, self._number = variance, number
        self._kept: dict[int, NDArray[np.float32]] = {}

    def __call__(self, index: int) -> NDArray[np.float32]:
        """The noise of one z index in Gy: [try, y, x]; zero away from the structure."""
        if index not in self._kept:
            rows, columns = self._box
            variance = self._variance[index, rows, columns]
            numbers = np.random.default_rng((self._number % 2**32, index)).standard_normal(
                (_TRIES, *variance.shape), dtype=np.float32
            )
            made = np.zeros((_TRIES, *self._variance.shape[1:]), dtype=np.float32)
            made[:, rows, columns] = numbers * np.sqrt(variance)
            self._kept = {k: v for k, v in self._kept.items() if abs(k - index) == 1} | {index: made}
        return self._kept[index]


def _box(grid: Grid, corners: NDArray[np.float64]) -> tuple[slice, slice]:
    """The rows and columns of a grid around these corners (n, 2)."""
    _z, y, x = grid.axes()
    found = []
    for axis, mm in ((y, corners[:, 1]), (x, corners[:, 0])):
        step = axis[1] - axis[0] if axis.size > 1 else 1.0
        first = int(np.clip(np.floor((mm.min() - axis[0]) / step), 0, axis.size - 1))
        last = int(np.clip(np.ceil((mm.max() - axis[0]) / step) + 1, first + 1, axis.size))
        found.append(slice(first, last))
    return found[0], found[1]
