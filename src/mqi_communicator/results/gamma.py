"""Global gamma of a computed dose against the planned one (Low 1998; limits of AAPM TG-218). Pure.

The planned dose is the reference and is normalised to its own maximum; the Monte Carlo dose is the evaluated one,
trilinear between its voxels. A point at which the computed dose is not a number, or which is outside its grid, fails;
it stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose, Grid
from mqi_communicator.results.grids import box_of, cut, indices
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Limits:
    """One gamma criterion: dose difference in %, of the planned maximum or of each point's planned dose, and mm."""

    dose_percent: float
    distance_mm: float
    local: bool = False


@dataclass(frozen=True, slots=True)
class GammaResult:
    """The result of a gamma evaluation."""

    counted: int  # points at or above the cut-off
    passed: int  # of them, with gamma <= 1
    lost: int  # counted points that are NaN or outside the computed grid: failed
    also_passed: tuple[int, ...]  # of the other criteria, in their order
    gamma: NDArray[np.float32]  # on the planned grid; NaN where nothing is counted

    @property
    def percent(self) -> float:
        """Points with gamma <= 1 among all counted ones, in %."""
        return self.share(self.passed)

    def share(self, passed: int) -> float:
        """`passed` as a share of the counted points, in %."""
        return 100.0 * passed / self.counted if self.counted else 0.0


def gamma_index(
    planned: Dose,
    computed: Dose,
    options: GammaOptions,
    *,
    local: bool = False,
    ceiling: float | None = None,
    also: Sequence[Limits] = (),
    top: float | None = None,
) -> GammaResult:
    """Gamma of every point at or above the cut-off. The two doses may be on different grids.

    `local`: the dose difference is in % of each point's own planned dose. Without a `ceiling` only gamma <= 1 is
    evaluated: `gamma` is then any value up to 1 where a point passes, and 2 elsewhere. With one (above 1) it is the
    value, never too small and at most 0.005 too large, up to the ceiling. The same points pass either way: those for
    which a position within the limits is found. `also` counts the points that pass further criteria. `top`: the maximum
    in Gy of the planned dose, if `planned` is a part of it.
    """
    from mqi_communicator.results import gamma_kernel

    reference, evaluated = _plain(planned.gy), _plain(computed.gy)
    out = np.full(reference.shape, np.nan, dtype=np.float32)
    if top is None:
        top = float(np.max(reference, initial=0.0, where=np.isfinite(reference)))
    if top <= 0:
        counted = int((~np.isfinite(reference)).sum())
        return GammaResult(counted, 0, counted, (0,) * len(also), out)
    criteria = (Limits(options.dose_percent, options.distance_mm, local), *also)
    table = np.array([(one.dose_percent / 100, one.distance_mm, one.local) for one in criteria], dtype=np.float64)
    passed = np.zeros(len(criteria), dtype=np.int64)
    z_at, y_at, x_at = _positions(planned.grid, computed.grid)
    counted, lost = gamma_kernel.search(
        reference,
        z_at,
        y_at,
        x_at,
        evaluated,
        np.array(computed.grid.spacing[::-1], dtype=np.float64),
        table,
        top,
        options.cutoff_percent / 100 * top,
        ceiling or 0.0,
        out,
        passed,
    )
    first, *others = passed.tolist()
    return GammaResult(counted, first, lost, tuple(others), out)


def counted_part(planned: Dose, options: GammaOptions) -> tuple[Dose, float]:
    """The part of a planned dose with all points that are counted, as a view, and the maximum of all of it in Gy."""
    top = float(np.nanmax(planned.gy, initial=0.0))
    if top == np.inf:
        top = float(np.max(planned.gy, initial=0.0, where=np.isfinite(planned.gy)))
    mask = ~(planned.gy < options.cutoff_percent / 100 * top)  # so that NaN is counted
    return (cut(planned, box_of(mask)), top) if top > 0 and mask.any() else (planned, top)


def thinned(planned: Dose, options: GammaOptions, most: int, top: float) -> tuple[Dose, int]:
    """The planned dose with at most `most` of the points that are counted, evenly over all of them, and -1 elsewhere;
    and how many there are. `top`: see `gamma_index`."""
    counted = np.flatnonzero(~(planned.gy < options.cutoff_percent / 100 * top))
    if counted.size <= most or top <= 0:
        return planned, counted.size
    some = counted[:: -(-counted.size // most)]
    gy = np.full(planned.gy.shape, -1, dtype=planned.gy.dtype)
    gy.reshape(-1)[some] = planned.gy.reshape(-1)[some]
    return replace(planned, gy=gy), counted.size


def _plain(gy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The array in the layout that the kernel needs."""
    return np.require(gy, dtype=np.float32, requirements=("C", "A"))


def _positions(points: Grid, grid: Grid) -> list[NDArray[np.float64]]:
    """Positions of the voxels of one grid along each axis (z, y, x) of another, in its voxels; NaN outside."""
    found = []
    for axis, mm in enumerate(points.axes()):
        index, outside = indices(grid, axis, mm)
        found.append(np.where(outside, np.nan, index))
    return found


def gamma_check(planned: Dose, computed: Dose, options: GammaOptions, scope: str) -> Check:
    """Judge the pass rate."""
    part, top = counted_part(planned, options)
    result = gamma_index(part, computed, options, top=top)
    if result.percent >= options.pass_percent:
        outcome = CheckOutcome.PASS
    else:
        outcome = CheckOutcome.REVIEW if result.percent >= options.review_percent else CheckOutcome.FAIL
    note = (
        f"{result.percent:.1f} % of {result.counted} points within {options.dose_percent:g} % / "
        f"{options.distance_mm:g} mm, global, from {options.cutoff_percent:g} % of the planned maximum"
    )
    if result.lost:
        note += f"; {result.lost} points have no computed dose (outside the grid or not a number) and failed"
    return Check(
        name="gamma",
        scope=scope,
        outcome=outcome,
        value=result.percent,
        unit="%",
        limit=f">= {options.pass_percent:g} % pass, >= {options.review_percent:g} % review",
        points=result.counted,
        uncertainty=computed.uncertainty,
        note=note,
    )
