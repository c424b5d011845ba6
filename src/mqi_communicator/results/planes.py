"""Planes through a point, profiles along and across a beam, and the point of the largest dose difference. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from mqi_communicator.dicom.records import Beam, Dose, Grid
from mqi_communicator.results.geometry import across, direction
from mqi_communicator.results.grids import at_points, box_of, corners, cropped, cut, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

Point = tuple[float, float, float]  # x, y, z in mm

_HIGH = 0.8  # of the maximum: the middle of this region is the middle of the field
_SEEN = 0.1  # of the planned maximum: lower doses are not searched for the largest difference
_SMOOTH = 3  # voxels each way: one noisy voxel must not be the largest difference
_REACH = 60.0  # mm of a profile on each side, across
_DEEP = 120.0  # mm of a profile on each side, along
_STEP = 0.5  # mm


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of the planned grid. `axis`: 0 axial (rows y, columns x), 1 coronal (z, x), 2 sagittal (z, y)."""

    axis: int
    at: float  # mm along its normal
    rows: NDArray[np.float64]  # mm
    columns: NDArray[np.float64]  # mm
    planned: NDArray[np.float32] | None  # Gy; None where nothing was planned
    computed: NDArray[np.float64]  # Gy, NaN outside its grid
    gamma: NDArray[np.float32] | None  # NaN where it was not evaluated


@dataclass(frozen=True, slots=True)
class Profile:
    """Two doses along a line. `mm` is the distance from the point that the line passes through."""

    title: str
    axis_note: str  # direction of the axis
    mm: NDArray[np.float64]
    planned: NDArray[np.float64] | None  # Gy, NaN outside the grid
    computed: NDArray[np.float64]


def nearest(grid: Grid, point: Point) -> tuple[int, int, int]:
    """The voxel [z, y, x] whose centre is nearest to a point; the edge's for a point outside."""
    found = [
        int(np.clip(np.rint((mm - axis[0]) / step), 0, axis.size - 1))
        for mm, axis, step in zip(reversed(point), grid.axes(), reversed(grid.spacing), strict=True)
    ]
    return found[0], found[1], found[2]


def slab(axis: int, index: int) -> tuple[slice, slice, slice]:
    """The box of one plane of a grid, at an index of its normal axis (0: z, 1: y, 2: x)."""
    box = [slice(None)] * 3
    box[axis] = slice(index, index + 1)
    return box[0], box[1], box[2]


def planes(
    planned: Dose | None, computed: Dose, gamma: Callable[[Dose], NDArray[np.float32]], point: Point
) -> tuple[Plane, Plane, Plane]:
    """The axial, coronal and sagittal plane through the voxel nearest to a point, on the planned grid (the computed
    one where nothing was planned). `gamma`: of a part of the planned dose."""
    base = computed if planned is None else planned
    index = nearest(base.grid, point)
    made = []
    for axis in range(3):
        box = slab(axis, index[axis])
        here = cut(base, box)
        near = cropped(computed, corners([here.grid]), 1.0)
        rows, columns = (here.grid.axes()[i] for i in range(3) if i != axis)
        made.append(
            Plane(
                axis=axis,
                at=float(here.grid.axes()[axis][0]),
                rows=rows,
                columns=columns,
                planned=None if planned is None else here.gy.squeeze(axis),
                computed=on_grid(near, here.grid).squeeze(axis),
                gamma=None if planned is None else gamma(here).squeeze(axis),
            )
        )
    return made[0], made[1], made[2]


def high_dose_centre(dose: Dose) -> Point:
    """The dose-weighted middle of the region of at least 80 % of the maximum."""
    high = dose.gy >= _HIGH * float(np.nanmax(dose.gy, initial=0.0))
    part = cut(dose, box_of(high))
    weight = np.where(high[box_of(high)], part.gy, 0.0).astype(np.float64)
    z, y, x = (
        float((weight.sum(axis=tuple(j for j in range(3) if j != i)) * axis).sum() / weight.sum())
        for i, axis in enumerate(part.grid.axes())
    )
    return x, y, z


def beam_profiles(planned: Dose | None, computed: Dose, beam: Beam, point: Point) -> tuple[Profile, Profile, Profile]:
    """Along the beam (positive: deeper) and across it in two directions, through a point."""
    axis = np.asarray(direction(beam))
    first, second = (side * np.sign(side[np.argmax(np.abs(side))]) for side in across(axis))
    return (
        _profile("depth, along the beam", ", deeper to the right", planned, computed, point, axis, _DEEP),
        _profile("lateral", f", along {_named(first)}", planned, computed, point, first, _REACH),
        _profile("lateral", f", along {_named(second)}", planned, computed, point, second, _REACH),
    )


def profile_ends(beam: Beam, point: Point) -> NDArray[np.float64]:
    """Where the profiles of a beam begin and end (6, 3), x, y, z in mm."""
    axis = np.asarray(direction(beam))
    reaches = [(axis, _DEEP), *((side, _REACH) for side in across(axis))]
    ends = [sign * reach * along for along, reach in reaches for sign in (-1, 1)]
    return np.asarray(np.asarray(point) + np.array(ends), dtype=np.float64)


def axis_profiles(planned: Dose | None, computed: Dose, point: Point) -> tuple[Profile, ...]:
    """Along the patient's x, y and z, through a point."""
    names = (("x", ", to the left"), ("y", ", to the back"), ("z", ", to the head"))
    unit = np.eye(3)
    return tuple(_profile(*name, planned, computed, point, unit[i], _DEEP - _REACH / 2) for i, name in enumerate(names))


def _named(vector: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in _rounded(vector)) + ")"


def _rounded(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """To two digits, without minus zero."""
    return np.round(vector, 2) + 0.0


def _profile(
    title: str,
    axis_note: str,
    planned: Dose | None,
    computed: Dose,
    point: Point,
    axis: NDArray[np.float64],
    reach: float,
) -> Profile:
    mm = np.arange(-reach, reach + _STEP / 2, _STEP)
    points = np.asarray(point) + mm[:, None] * axis
    before = None if planned is None else at_points(planned, points)
    return Profile(title, axis_note, mm, before, at_points(cropped(computed, points, 5.0), points))


def largest_difference(planned: Dose, computed: Dose) -> tuple[Point, float] | None:
    """Where the doses differ most (x, y, z) and by how much (computed - planned, Gy), averaged over 3 x 3 x 3 voxels.

    Searched where the planned dose is at least 10 % of its maximum. None if they have no point in common.
    """
    top = float(np.nanmax(planned.gy, initial=0.0))
    seen = planned.gy >= _SEEN * top
    if top <= 0 or not seen.any():
        return None
    box = box_of(seen, pad=_SMOOTH)
    part = cut(planned, box)
    off = on_grid(cropped(computed, corners([part.grid]), 5.0), part.grid) - part.gy
    known = np.isfinite(off)
    if not (known & seen[box]).any():
        return None
    smooth = uniform_filter(np.where(known, off, 0.0), _SMOOTH)
    z, y, x = np.unravel_index(int(np.argmax(np.where(seen[box] & known, np.abs(smooth), -1.0))), smooth.shape)
    axes = part.grid.axes()
    return (float(axes[2][x]), float(axes[1][y]), float(axes[0][z])), float(smooth[z, y, x])
