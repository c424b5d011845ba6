"""Range per beam: R80 and the distal falloff R80-R20 along parallel rays through the field. Pure.

R80 is the deepest point at which a ray carries 80 % of its own maximum. Each ray is compared with itself in the other
dose; the median over the field is judged, so that single rays along an edge or a cavity have no influence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.numbers import fixed
from mqi_communicator.dicom.records import Beam, Dose
from mqi_communicator.results.edges import far_edge, spread_over
from mqi_communicator.results.geometry import across, direction
from mqi_communicator.results.grids import at_points, cropped, points_of
from mqi_communicator.results.options import RangeOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELD = 0.5  # of the planned maximum: rays that reach it belong to the field
_STEP = 0.5  # mm along a ray
_RAYS = 24  # rays across each side of the field, at most
_NARROWEST = 2.0  # mm between rays, at least
_BEYOND = 40.0  # mm before and behind the high-dose region
_ENDED = 0.5  # of the field's rays must have a planned distal edge
_MISSING = 0.1  # of the rays may lack a distal edge in the computed dose


@dataclass(frozen=True, slots=True)
class RangeResult:
    """Computed minus planned, median over the rays on which both doses have a distal edge."""

    r80_mm: float | None
    falloff_mm: float | None
    spread_mm: float | None  # half the distance between the 10th and the 90th percentile of the R80 differences
    field: int  # rays of the field
    rays: int  # those of them on which the planned dose has a distal edge
    missing: int  # those of these on which the computed dose has none


def range_difference(planned: Dose, computed: Dose, beam: Beam) -> RangeResult:
    """Compare the distal edges of one beam."""
    rays = _rays(planned, np.asarray(direction(beam)))
    if rays is None:
        return RangeResult(None, None, None, 0, 0, 0)
    before, after = (at_points(cropped(d, rays.reshape(-1, 3), 5), rays, smooth=True) for d in (planned, computed))
    best = np.nanmax(np.nan_to_num(before), axis=1)
    field = best >= _FIELD * best.max()
    r80, r20 = (far_edge(before[field], part, _STEP) for part in (0.8, 0.2))
    ended = np.isfinite(r80) & np.isfinite(r20)
    own80, own20 = (far_edge(after[field], part, _STEP) for part in (0.8, 0.2))
    both = ended & np.isfinite(own80) & np.isfinite(own20)
    counts = (len(ended), int(ended.sum()), int((ended & ~both).sum()))
    if not both.any():
        return RangeResult(None, None, None, *counts)
    deeper = (own80 - r80)[both]
    longer = ((own20 - own80) - (r20 - r80))[both]
    low, high = np.percentile(deeper, [10, 90])
    return RangeResult(float(np.median(deeper)), float(np.median(longer)), float(high - low) / 2, *counts)


def _rays(planned: Dose, axis: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Points (rays, samples, 3) along the beam, over the planned high-dose region."""
    top = float(np.nanmax(planned.gy, initial=0.0))
    if top <= 0:
        return None
    points = points_of(planned.grid, planned.gy >= _FIELD * top)
    first, second = across(axis)
    depth = points @ axis
    sides = [spread_over(points @ side, _RAYS, _NARROWEST) for side in (first, second)]
    a, b = np.meshgrid(*sides, indexing="ij")
    starts = a.reshape(-1, 1) * first + b.reshape(-1, 1) * second
    along = np.arange(depth.min() - _BEYOND, depth.max() + _BEYOND, _STEP)
    return starts[:, None, :] + along[None, :, None] * axis


def range_checks(planned: Dose, computed: Dose, options: RangeOptions, beam: Beam) -> tuple[Check, Check]:
    """Judge R80 and R80-R20 of one beam."""
    result = range_difference(planned, computed, beam)
    return (
        _check("range_r80", result.r80_mm, (options.pass_mm, options.review_mm), result, computed, beam),
        _check(
            "falloff_r80_r20",
            result.falloff_mm,
            (options.falloff_pass_mm, options.falloff_review_mm),
            result,
            computed,
            beam,
        ),
    )


def _check(
    name: str, value: float | None, limits: tuple[float, float], result: RangeResult, computed: Dose, beam: Beam
) -> Check:
    outcome, note = _outcome(name, value, limits, result)
    return Check(
        name=name,
        scope=f"beam {beam.number}",
        outcome=outcome,
        value=value,
        unit="mm",
        limit=f"within ± {limits[0]:g} mm pass, ± {limits[1]:g} mm review",
        points=result.rays,
        uncertainty=computed.uncertainty,
        note=note,
    )


def _outcome(
    name: str, value: float | None, limits: tuple[float, float], result: RangeResult
) -> tuple[CheckOutcome, str]:
    if result.rays == 0 or result.rays < _ENDED * result.field:
        where = f" on {result.field - result.rays} of {result.field} rays" if result.field else ""
        note = f"the distal edge of the planned dose is outside its grid{where}: export a larger dose grid"
        return CheckOutcome.NOT_JUDGED, note
    if value is None or result.missing > _MISSING * result.rays:
        return CheckOutcome.FAIL, f"the computed dose has no distal edge on {result.missing} of {result.rays} rays"
    if name == "range_r80":
        note = f"the computed range is {_compared(value, 'deeper', 'shallower')}"
        note += f" (80 % of the rays are within ± {result.spread_mm:.1f} mm)"
    else:
        note = f"the computed distal falloff is {_compared(value, 'longer', 'shorter')}"
    if abs(value) <= limits[0]:
        return CheckOutcome.PASS, note
    return (CheckOutcome.REVIEW if abs(value) <= limits[1] else CheckOutcome.FAIL), note


def _compared(value: float, more: str, less: str) -> str:
    """A difference in words, to 0.1 mm."""
    size = fixed(abs(value), 1)
    return "as planned" if float(size) == 0 else f"{size} mm {more if value > 0 else less} than planned"
