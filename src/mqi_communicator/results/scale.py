"""Dose scale: the median of computed / planned where the planned dose is high. Pure.

A ratio near an RBE factor or the number of fractions is reported as such, never corrected.
"""

from __future__ import annotations

import numpy as np

from mqi_communicator.case.numbers import fixed
from mqi_communicator.dicom.records import Dose
from mqi_communicator.results.grids import at_points, cropped, points_of
from mqi_communicator.results.options import DoseScaleOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

_HIGH = 0.8  # of the planned maximum
_AROUND = 20.0  # mm of computed dose around these points, for spline interpolation
_NEAR = 0.02  # relative: maximum distance from a known factor
_ENOUGH = 0.5  # of the high-dose points must carry a computed dose
_GENERIC_RBE = 1.1


def median_ratio(planned: Dose, computed: Dose) -> tuple[float | None, int, int]:
    """(median computed / planned where planned >= 80 % of its maximum, points used, points without computed dose).

    The ratio is None when no such point has a computed dose.
    """
    top = float(np.nanmax(planned.gy, initial=0.0))
    if top <= 0:
        return None, 0, 0
    high = planned.gy >= _HIGH * top
    points = points_of(planned.grid, high)
    near = cropped(computed, points, _AROUND)
    ratio = at_points(near, points, smooth=True) / planned.gy[high]
    good = np.isfinite(ratio)
    used = int(good.sum())
    return (float(np.median(ratio[good])) if used else None), used, len(points) - used


def known_factor_hint(ratio: float, fractions: int) -> str:
    """A sentence naming the known factor that a ratio is near to; empty if there is none."""
    known = {_GENERIC_RBE: "an RBE factor of 1.1"}
    if fractions > 1:
        known[float(fractions)] = f"the number of fractions ({fractions})"
        known[fractions * _GENERIC_RBE] = f"the number of fractions ({fractions}) and an RBE factor of 1.1"
    check = "check the dose convention"
    for factor, name in known.items():
        if abs(ratio / factor - 1) <= _NEAR:
            return f"the ratio is near {name}: the computed dose includes it and the planned dose does not; {check}"
        if abs(ratio * factor - 1) <= _NEAR:
            return f"the ratio is near 1 / {name}: the planned dose includes it and the computed dose does not; {check}"
    return ""


def scale_check(planned: Dose, computed: Dose, options: DoseScaleOptions, scope: str, fractions: int) -> Check:
    """Judge how far the ratio is from 1."""
    ratio, used, lost = median_ratio(planned, computed)
    if ratio is None or used < _ENOUGH * (used + lost):
        outcome, note = (
            CheckOutcome.FAIL,
            "most of the high-dose region has no computed dose: the two doses do not overlap",
        )
    else:
        off = 100 * (ratio - 1)
        outcome = _outcome(abs(off), options)
        note = (
            f"the computed dose differs from the planned dose by {fixed(off, 1, sign=True)} % in the high-dose region"
        )
        hint = known_factor_hint(ratio, fractions)
        note = f"{note}; {hint}" if hint and outcome is not CheckOutcome.PASS else note
    return Check(
        name="dose_scale",
        scope=scope,
        outcome=outcome,
        value=ratio,
        unit="ratio",
        limit=f"1 ± {options.pass_percent:g} % pass, ± {options.review_percent:g} % review",
        points=used,
        uncertainty=computed.uncertainty,
        note=note,
    )


def _outcome(off: float, options: DoseScaleOptions) -> CheckOutcome:
    if off <= options.pass_percent:
        return CheckOutcome.PASS
    return CheckOutcome.REVIEW if off <= options.review_percent else CheckOutcome.FAIL
