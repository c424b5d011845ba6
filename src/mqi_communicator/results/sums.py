"""Sums of beam doses, and whether the planned beam doses add up to the planned plan dose. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Dose, Grid
from mqi_communicator.results.grids import on_grid, same_grid
from mqi_communicator.results.options import PlannedSumOptions
from mqi_communicator.results.scale import known_factor_hint, median_ratio
from mqi_communicator.results.verdict import Check, CheckOutcome

_NEARLY_ALL = 99  # percentile of the points that must agree: the rest may be the edges of resampled grids
_CUTOFF = 0.1  # of the planned maximum
_SEVERAL = ("beam doses add up to", "beam doses do not add up to", "sum of beams")
_ONE = ("beam dose equals", "beam dose does not equal", "beam")


def summed(beams: Sequence[Dose]) -> Dose:
    """The dose of a plan from those of all its beams, on their common grid, without uncertainty.

    Permanent if grids or dose types differ, which doses of one engine and one CT never do.
    """
    first = beams[0]
    if any(not same_grid(first.grid, other.grid) or other.dose_type != first.dose_type for other in beams):
        raise Permanent(
            "the computed beam doses have different grids or dose types",
            "compute the case again",
        )
    total = first.gy.copy()
    for other in beams[1:]:
        total += other.gy
    return replace(first, gy=total, beam_number=None, uncertainty=None)


def summed_on(beams: Sequence[Dose], grid: Grid) -> Dose:
    """The sum of planned beam doses on `grid`; the dose of a beam outside its own grid is 0."""
    total = np.zeros(grid.shape, dtype=np.float32)
    for beam in beams:
        total += beam.gy if same_grid(beam.grid, grid) else np.nan_to_num(on_grid(beam, grid)).astype(np.float32)
    return Dose(grid, total, beams[0].dose_type, None)


def planned_sum_check(plan_dose: Dose, beams: Sequence[Dose], options: PlannedSumOptions, fractions: int) -> Check:
    """Judge whether the planned doses are consistent. If not, it is unknown which of them is the plan's."""
    total = summed_on(beams, plan_dose.grid)
    top = float(np.nanmax(plan_dose.gy, initial=0.0))
    seen = np.maximum(plan_dose.gy, total.gy) >= _CUTOFF * top
    off = np.abs(total.gy - plan_dose.gy)[seen]
    value = float(np.nanpercentile(off, _NEARLY_ALL)) / top * 100 if top > 0 and off.size else None
    agreed = value is not None and value <= options.tolerance_percent
    same, other, what = _ONE if len(beams) == 1 else _SEVERAL
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
