"""Position offset: the rigid shift that best aligns the computed with the planned dose. Pure.

Least squares of scale and shift together (Lucas & Kanade 1981), so that a wrong dose scale causes no shift and noise
averages out over the whole distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion

from mqi_communicator.case.numbers import fixed
from mqi_communicator.dicom.records import Beam, Dose
from mqi_communicator.results.geometry import direction
from mqi_communicator.results.grids import at_points, box_of, cut
from mqi_communicator.results.options import PositionOffsetOptions, RangeOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CUTOFF = 0.05  # of the planned maximum: points with less dose are ignored
_POINTS = 150_000  # at most; evenly thinned
_ROUNDS = 30
_STEP = 8.0  # mm, the longest step of one round
_SETTLED = 0.005  # mm
_FAR = 200.0  # mm
_ALIKE = 0.9  # correlation after the shift; noise of a few percent leaves more than 0.99
_ENOUGH = 0.5  # of the points must be on the computed grid


@dataclass(frozen=True, slots=True)
class Shift:
    """Position of the computed dose relative to the planned one."""

    mm: tuple[float, float, float]  # x, y, z
    correlation: float  # of the two once the shift is undone
    points: int


def shift_of(planned: Dose, computed: Dose) -> Shift | None:
    """The shift (computed minus planned), or None if the two do not overlap."""
    top = float(np.nanmax(planned.gy, initial=0.0))
    if top <= 0 or not np.nanmax(computed.gy, initial=0.0) > 0:
        return None
    part = cut(planned, box_of(planned.gy >= _CUTOFF * top, pad=2))
    points, basis = _samples(part, _CUTOFF * top)
    if len(points) < basis.shape[1]:
        return None
    shift = _centre(computed) - _centre(planned)
    for _ in range(_ROUNDS):
        fit = _fit(computed, points, basis, shift)
        if fit is None:
            return None
        step = fit[0]
        length = float(np.linalg.norm(step))
        shift = shift + step * min(1.0, _STEP / max(length, _STEP))
        if length < _SETTLED:
            break
    fit = _fit(computed, points, basis, shift)
    if fit is None or float(np.linalg.norm(shift)) > _FAR:
        return None
    x, y, z = (float(v) for v in shift)
    return Shift((x, y, z), fit[1], fit[2])


def _samples(part: Dose, least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 3) and at each of them planned dose and its gradient (n, 4).

    Only points whose neighbours all have dose: planning systems set the dose outside the body to zero, and that edge
    is not the beam's.
    """
    shape = part.gy.shape
    stride = max(1, part.gy.size // _POINTS)
    if stride > 1:
        stride += 1 - stride % 2  # odd: does not fall in step with even row lengths
    inside = binary_erosion(part.gy >= np.float32(least)).ravel()[::stride]
    index = np.unravel_index(stride * np.flatnonzero(inside), shape)
    points = np.stack([axis[i] for axis, i in zip(part.grid.axes(), index, strict=True)][::-1], axis=1)
    slopes = [_slope(part, index, axis) for axis in range(3)]
    basis = np.stack([part.gy[index].astype(np.float64), *slopes[::-1]], axis=1)
    known = np.isfinite(basis).all(axis=1)
    return points[known], basis[known]


def _slope(part: Dose, index: tuple[NDArray[np.intp], ...], axis: int) -> NDArray[np.float64]:
    """The slope along an axis in Gy/mm, from both neighbours of each of these voxels; none of them is at an end."""
    sides = []
    for step in (-1, 1):
        there = tuple(i + step if number == axis else i for number, i in enumerate(index))
        sides.append(part.gy[there].astype(np.float64))
    return np.asarray((sides[1] - sides[0]) / (2 * part.grid.spacing[2 - axis]))


def _fit(
    computed: Dose, points: NDArray[np.float64], basis: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, int] | None:
    """(step towards the true shift, correlation, points) with the computed dose moved back by `shift`."""
    seen = at_points(computed, points + shift)
    known = np.isfinite(seen)
    if known.sum() < _ENOUGH * len(points) or known.sum() < basis.shape[1]:
        return None
    rows, seen = basis[known], seen[known]
    coefficients = np.linalg.lstsq(rows, seen, rcond=None)[0]
    scale = coefficients[0]
    if not scale > 0 or seen.std() == 0 or rows[:, 0].std() == 0:
        return None
    return -coefficients[1:] / scale, float(np.corrcoef(rows[:, 0], seen)[0, 1]), int(known.sum())


def _centre(dose: Dose) -> NDArray[np.float64]:
    """Dose-weighted centre (x, y, z) of what is above half of the maximum: a start for the search."""
    top = float(np.nanmax(dose.gy))
    dose = cut(dose, box_of(dose.gy >= np.float32(0.5 * top)))
    weight = np.nan_to_num(dose.gy.astype(np.float64))
    weight[weight < 0.5 * weight.max()] = 0
    total = weight.sum()
    z, y, x = (
        (weight.sum(axis=tuple(j for j in range(3) if j != i)) * axis).sum() / total
        for i, axis in enumerate(dose.grid.axes())
    )
    return np.array([x, y, z])


def offset_check(
    planned: Dose, computed: Dose, options: PositionOffsetOptions, ranges: RangeOptions, beam: Beam | None
) -> Check:
    """Judge the shift. For a beam its limits are an ellipsoid: the part along the beam has the limits of R80."""
    found = shift_of(planned, computed)
    limit = f"<= {options.pass_mm:g} mm pass, <= {options.review_mm:g} mm review"
    if beam is not None:
        limit += f" across the beam; along it {ranges.pass_mm:g} and {ranges.review_mm:g} mm (an ellipse)"
    size: float | None = None
    if found is None:
        outcome, note = (
            CheckOutcome.FAIL,
            "no shift aligns the computed dose with the planned dose: they do not overlap",
        )
    else:
        size, outcome, note = _judge(found, options, ranges, beam)
    return Check(
        name="position_offset",
        scope="plan" if beam is None else f"beam {beam.number}",
        outcome=outcome,
        value=size,
        unit="mm",
        limit=limit,
        points=found.points if found else 0,
        uncertainty=computed.uncertainty,
        note=note,
    )


def _judge(
    found: Shift, options: PositionOffsetOptions, ranges: RangeOptions, beam: Beam | None
) -> tuple[float, CheckOutcome, str]:
    shift = np.asarray(found.mm)
    along = float(shift @ np.asarray(direction(beam))) if beam is not None else 0.0
    size = float(np.linalg.norm(shift))
    lateral = float(np.sqrt(max(size**2 - along**2, 0.0)))
    parts = ", ".join(f"{axis} {fixed(mm, 1, sign=True)}" for axis, mm in zip("xyz", found.mm, strict=True))
    note = f"the computed dose is shifted by {parts} mm"
    if beam is not None:
        note += f" ({lateral:.1f} mm across the beam, {fixed(along, 1, sign=True)} mm along it)"
    if found.correlation < _ALIKE:
        return size, CheckOutcome.FAIL, f"{note}, and its shape differs (correlation {found.correlation:.2f})"
    for outcome, across, depth in (
        (CheckOutcome.PASS, options.pass_mm, ranges.pass_mm),
        (CheckOutcome.REVIEW, options.review_mm, ranges.review_mm),
    ):
        if np.hypot(lateral / across, along / depth) <= 1:
            return size, outcome, note
    return size, CheckOutcome.FAIL, note
