"""Sums of beam doses, and whether the planned beam doses add up to the planned plan dose. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.lattice import place_in, united
from mqi_communicator.dicom.records import Dose, DoseType, Grid
from mqi_communicator.results.grids import on_grid
from mqi_communicator.results.options import PlannedSumOptions
from mqi_communicator.results.scale import known_factor_hint, median_ratio
from mqi_communicator.results.verdict import Check, CheckOutcome

_NEARLY_ALL = 99  # percentile of the points that must agree: the rest may be the edges of resampled grids
_CUTOFF = 0.1  # of the planned maximum
_SEVERAL = ("beam doses add up to", "beam doses do not add up to", "sum of beams")
_ONE = ("beam dose equals", "beam dose does not equal", "beam")


class Sum:
    """Adds doses on one grid, one at a time, so that they need not be in memory together."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self._gy = grid, np.zeros(grid.shape, dtype=np.float32)

    def add(self, dose: Dose) -> None:
        """Add a dose; it counts as 0 outside its own grid."""
        place = place_in(self.grid, dose.grid)
        if place is not None:
            self._gy[place] += dose.gy
        else:
            self._gy += np.nan_to_num(on_grid(dose, self.grid)).astype(np.float32)

    def dose(self, dose_type: DoseType) -> Dose:
        """The sum so far, as a dose of the plan without uncertainty."""
        return Dose(self.grid, self._gy, dose_type, None)


def common_grid(grids: Sequence[Grid], types: Sequence[DoseType]) -> Grid:
    """The grid with the voxels of all computed doses, which are parts of the CT's grid.

    Permanent if grids or dose types differ, which doses of one engine and one CT never do.
    """
    whole = united(grids)
    if whole is None or len(set(types)) > 1:
        raise Permanent("the computed beam doses have different grids or dose types", "compute the case again")
    return whole


def summed_on(beams: Sequence[Dose], grid: Grid) -> Dose:
    """The sum of planned beam doses on `grid`; the dose of a beam outside its own grid is 0."""
    total = Sum(grid)
    for beam in beams:
        total.add(beam)
    return total.dose(beams[0].dose_type)


def planned_sum_check(plan_dose: Dose, total: Dose, count: int, options: PlannedSumOptions, fractions: int) -> Check:
    """Judge whether the planned doses are consistent. If not, it is unknown which of them is the plan's.

    `total`: the sum of the `count` planned beam doses on the grid of the plan's.
    """
    top = float(np.nanmax(plan_dose.gy, initial=0.0))
    seen = np.maximum(plan_dose.gy, total.gy) >= _CUTOFF * top
    off = np.abs(total.gy - plan_dose.gy)[seen]
    value = float(np.nanpercentile(off, _NEARLY_ALL)) / top * 100 if top > 0 and off.size else None
    agreed = value is not None and value <= options.tolerance_percent
    same, other, what = _ONE if count == 1 else _SEVERAL
    note = f"the planned {same} the planned plan dose"
    if not agreed:
        ratio = median_ratio(total, plan_dose)[0]
        hint = known_factor_hint(ratio, fractions) if ratio is not None else ""
        note = f"the planned {other} the planned plan dose: export all doses of one plan again"
        if ratio is not None:
            note += f" (plan / {what} = {ratio:.3f}{', a known factor: fractions or RBE' if hint else ''})"
    return Check(
        name="planned_sum",
        scope="plan",
        outcome=CheckOutcome.PASS if agreed else CheckOutcome.NOT_JUDGED,
        value=value,
        unit="%",
        limit=f"<= {options.tolerance_percent:g} % of the planned maximum at {_NEARLY_ALL} % of points",
        points=int(seen.sum()),
        uncertainty=None,
        note=note,
    )
