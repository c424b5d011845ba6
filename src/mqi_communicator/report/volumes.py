"""What the viewer shows of a case, quantised and cropped: CT, planned and computed dose, gamma. Pure.

The volumes hold both doses where either is at least 10 % of its own maximum, and 30 mm around, so that a dose in the
wrong place is in the picture. All doses are on the planned grid, which is continued where the computed dose reaches
beyond it. Arrays are made slice by slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mqi_communicator.dicom.records import CTVolume, Dose, Grid
from mqi_communicator.results.grids import corners, cropped, on_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 0.1  # of a dose's maximum: all of it is in the volumes
MARGIN = 30.0  # mm around it
MISSING = 65535  # of the doses: outside the grid, or not a number
LEVELS = 65000  # of the larger maximum: one step is 0.0015 % of it
GAMMA_STEP = 0.01
PASSES, FAILS = 0.5, 1.5  # gamma where only that is known
NO_GAMMA = 255  # not evaluated
FINEST_CT = 1.0  # mm: finer pixels are averaged in whole numbers, up to this
_AT_ONCE = 8  # slices
_SNAP = 1e-4  # of a voxel

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # (low, high) in mm along x, y, z


@dataclass(frozen=True, slots=True)
class GammaMap:
    """Gamma on a part of the planned grid, NaN where it was not evaluated. If not `exact`: PASSES or FAILS."""

    grid: Grid
    values: NDArray[np.float32]
    exact: bool


@dataclass(frozen=True, slots=True)
class ShownCT:
    """The CT of the viewer: Hounsfield units, rounded. Its voxels are means of whole voxels of the recorded CT."""

    grid: Grid
    hu: NDArray[np.int16]
    recorded: Grid
    position: str  # PatientPosition, as recorded


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one case, all [z, y, x] ascending. A dose in Gy is its number times `step_gy`."""

    grid: Grid  # of the doses and of gamma
    step_gy: float
    planned: NDArray[np.uint16] | None  # None if nothing was planned
    computed: NDArray[np.uint16]
    gamma: NDArray[np.uint8] | None  # in steps of GAMMA_STEP
    exact: bool  # else gamma is PASSES or FAILS
    ct: ShownCT


def shown_box(doses: Sequence[Dose]) -> Box:
    """The box that holds every dose down to SHOWN of its own maximum, and MARGIN around."""
    found = np.array([_extent(dose) for dose in doses])
    low, high = found[:, :, 0].min(axis=0) - MARGIN, found[:, :, 1].max(axis=0) + MARGIN
    x, y, z = ((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def corners_of(box: Box) -> NDArray[np.float64]:
    """Two opposite corners (2, 3) of a box, x, y, z in mm."""
    return np.array(box).T


def view_volumes(planned: Dose | None, computed: Dose, gamma: GammaMap | None, ct: CTVolume, box: Box) -> Volumes:
    """The volumes within `box`."""
    base = computed.grid if planned is None else planned.grid
    grid = _lattice(base, box, [base, ct.grid])
    top = max(float(np.nanmax(dose.gy, initial=0.0)) for dose in (planned, computed) if dose is not None)
    step = top / LEVELS if top > 0 else 1.0
    doses, gammas = np.full(grid.shape, MISSING, dtype=np.uint16), np.full(grid.shape, NO_GAMMA, dtype=np.uint8)
    return Volumes(
        grid=grid,
        step_gy=step,
        planned=None if planned is None else _moved(planned.gy, base, grid, doses, lambda gy: _steps(gy, step)),
        computed=_resampled(computed, grid, step),
        gamma=None if gamma is None else _moved(gamma.values, gamma.grid, grid, gammas, _gamma_steps),
        exact=gamma is None or gamma.exact,
        ct=_shown_ct(ct, box),
    )


def _extent(dose: Dose) -> list[tuple[float, float]]:
    """Where the dose is at least SHOWN of its maximum: (low, high) in mm of voxel centres along x, y, z."""
    level = SHOWN * float(np.nanmax(dose.gy, initial=0.0))
    nz, ny, nx = dose.grid.shape
    rows, columns, slices = np.zeros(ny, dtype=bool), np.zeros(nx, dtype=bool), np.zeros(nz, dtype=bool)
    for index, plane in enumerate(dose.gy):
        here = plane >= level
        across = here.any(axis=1)
        slices[index] = across.any()
        rows |= across
        columns |= here.any(axis=0)
    z, y, x = dose.grid.axes()
    return [(float(axis[hit][0]), float(axis[hit][-1])) for axis, hit in ((x, columns), (y, rows), (z, slices))]


def _lattice(base: Grid, box: Box, within: Sequence[Grid]) -> Grid:
    """The points of the lattice of `base` that are in `box`, and in the box that holds the grids of `within`."""
    ends = corners(within)
    origin, shape = [], []
    for axis, (low, high) in enumerate(box):
        start, step = base.origin[axis], base.spacing[axis]
        first = int(np.ceil((max(low, ends[:, axis].min()) - start) / step - _SNAP))
        last = int(np.floor((min(high, ends[:, axis].max()) - start) / step + _SNAP))
        origin.append(start + first * step)
        shape.append(max(last - first + 1, 1))
    return Grid((shape[2], shape[1], shape[0]), (origin[0], origin[1], origin[2]), base.spacing)


def _overlap(source: Grid, target: Grid) -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
    """The box that two grids of one lattice share, in the source and in the target."""
    ours, theirs = [], []
    for axis in range(3):
        along = 2 - axis
        offset = round((target.origin[along] - source.origin[along]) / source.spacing[along])
        first, last = max(0, offset), min(source.shape[axis], offset + target.shape[axis])
        last = max(first, last)
        ours.append(slice(first, last))
        theirs.append(slice(first - offset, last - offset))
    return (ours[0], ours[1], ours[2]), (theirs[0], theirs[1], theirs[2])


def _moved(
    values: NDArray[np.float32], source: Grid, grid: Grid, out: NDArray[Any], convert: Callable[[Any], NDArray[Any]]
) -> NDArray[Any]:
    """Fill `out`, on `grid`, with the converted values of another grid of the same lattice where the two overlap."""
    ours, theirs = _overlap(source, grid)
    target = out[theirs]
    for index, plane in enumerate(values[ours]):
        target[index] = convert(plane)
    return out


def _gamma_steps(gamma: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = np.isfinite(gamma)
    steps = np.clip(np.rint(np.where(known, gamma, 0.0) / GAMMA_STEP), 0, NO_GAMMA - 1)
    return np.where(known, steps, NO_GAMMA).astype(np.uint8)


def _steps(gy: NDArray[np.float32] | NDArray[np.float64], step: float) -> NDArray[np.uint16]:
    """The nearest numbers of steps; MISSING where the dose is not a number."""
    known = np.isfinite(gy)
    steps = np.clip(np.rint(np.where(known, gy, 0.0) / step), 0, LEVELS)
    return np.where(known, steps, MISSING).astype(np.uint16)


def _resampled(dose: Dose, grid: Grid, step: float) -> NDArray[np.uint16]:
    """The dose on another grid, some slices at a time."""
    out = np.full(grid.shape, MISSING, dtype=np.uint16)
    x, y, z = grid.origin
    for first in range(0, grid.shape[0], _AT_ONCE):
        count = min(_AT_ONCE, grid.shape[0] - first)
        here = replace(grid, shape=(count, *grid.shape[1:]), origin=(x, y, z + first * grid.spacing[2]))
        if _touch(dose.grid, here):
            out[first : first + count] = _steps(on_grid(cropped(dose, corners([here]), 1.0), here), step)
    return out


def _touch(one: Grid, other: Grid) -> bool:
    """Whether the boxes of voxel centres of two grids overlap."""
    a, b = corners([one]), corners([other])
    return bool(np.all((a.min(axis=0) <= b.max(axis=0) + _SNAP) & (b.min(axis=0) <= a.max(axis=0) + _SNAP)))


def _shown_ct(ct: CTVolume, box: Box) -> ShownCT:
    """The CT within the box. Voxels are averaged in whole numbers as long as the means are not above FINEST_CT."""
    grid = _lattice(ct.grid, box, [ct.grid])
    (first_z, first_y, first_x), _ = (tuple(cut.start for cut in cuts) for cuts in _overlap(ct.grid, grid))
    fx, fy, fz = (max(1, int(FINEST_CT / step + _SNAP)) for step in ct.grid.spacing)
    nz, ny, nx = (max(1, size // by) for size, by in zip(grid.shape, (fz, fy, fx), strict=True))
    fz, fy, fx = (min(by, size) for by, size in zip((fz, fy, fx), grid.shape, strict=True))
    hu = np.empty((nz, ny, nx), dtype=np.int16)
    rows, columns = slice(first_y, first_y + ny * fy), slice(first_x, first_x + nx * fx)
    for index in range(nz):
        start = first_z + index * fz
        block = ct.hu[start : start + fz, rows, columns]
        if fx * fy * fz > 1:
            block = block.reshape(fz, ny, fy, nx, fx).mean(axis=(0, 2, 4), dtype=np.float32)
        hu[index] = np.rint(np.clip(block, -32768, 32767)).reshape(ny, nx)
    spacing = tuple(step * by for step, by in zip(ct.grid.spacing, (fx, fy, fz), strict=True))
    origin = tuple(
        start + (by - 1) / 2 * step for start, step, by in zip(grid.origin, ct.grid.spacing, (fx, fy, fz), strict=True)
    )
    shown = Grid((nz, ny, nx), (origin[0], origin[1], origin[2]), (spacing[0], spacing[1], spacing[2]))
    return ShownCT(shown, hu, ct.grid, ct.position)
