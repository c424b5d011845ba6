"""The part of a dose that is kept: what has dose, and the planned grids. Pure.

A CT is much larger than a treated region. Outside the part that is kept a dose counts as zero; what that leaves out is
bounded twice: at most a thousandth of the maximum in each voxel, and at most a millionth of the sum of all voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Box = tuple[slice, slice, slice]

LOWEST = 1e-3  # of the maximum: less may be left out
LOST = 1e-6  # of the sum of all voxels: at most this much is left out
_PAD = 2  # voxels around the box, so that interpolation reaches zero


def kept_box(dose: Dose, planned: Sequence[Grid]) -> Box:
    """The smallest box [z, y, x] with every voxel of more than `LOWEST` of the maximum, and all of the planned grids.

    If more than `LOST` of the sum of all voxels would be outside, voxels with less dose are included too, at most all
    that are not zero. ValueError for a dose that is not finite, negative or nowhere above zero.
    """
    highest, slice_sums = _projections(dose.gy)
    top, total = float(highest[0].max()), float(slice_sums.sum())
    if not (np.isfinite(total) and top > 0 and dose.gy.min() >= 0):
        raise ValueError("the dose is not finite, negative or nowhere above zero")
    grids = [_span(dose.grid, one) for one in planned]
    box = _whole(dose)
    for level in (LOWEST, LOWEST / 10, LOWEST / 100, 0.0):
        box = _united([_above(highest, level * top), *grids], dose.grid.shape)
        inside = float(sum(float(plane.sum(dtype=np.float64)) for plane in dose.gy[box]))
        if total - inside <= LOST * total:
            break
    return box


def _projections(gy: NDArray[np.float32]) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    """The maximum of each slice, row and column, and the sum of each slice, without a copy of the dose."""
    nz, ny, nx = gy.shape
    found = [np.zeros(count, dtype=np.float32) for count in (nz, ny, nx)]
    sums = np.zeros(nz)
    for index, plane in enumerate(gy):
        rows = plane.max(axis=1)
        found[0][index] = rows.max()
        np.maximum(found[1], rows, out=found[1])
        np.maximum(found[2], plane.max(axis=0), out=found[2])
        sums[index] = plane.sum(dtype=np.float64)
    return found, sums


def _above(highest: Sequence[NDArray[np.float32]], level: float) -> list[tuple[int, int]]:
    """First and last index on each axis with more than a level, with a margin."""
    ends = []
    for line in highest:
        hit = np.flatnonzero(line > level)
        ends.append((int(hit[0]) - _PAD, int(hit[-1]) + _PAD))
    return ends


def _span(grid: Grid, other: Grid) -> list[tuple[int, int]]:
    """First and last index on each axis of the voxels from which any point of another grid is interpolated."""
    ends = []
    for own, its in zip(grid.axes(), other.axes(), strict=True):
        step = own[1] - own[0] if own.size > 1 else 1.0
        low, high = ((edge - own[0]) / step for edge in (its[0], its[-1]))
        ends.append((int(np.floor(low)) - 1, int(np.ceil(high)) + 1))
    return ends


def _united(parts: Sequence[Sequence[tuple[int, int]]], shape: tuple[int, int, int]) -> Box:
    cuts = []
    for axis, count in enumerate(shape):
        first, last = min(part[axis][0] for part in parts), max(part[axis][1] for part in parts)
        cuts.append(slice(max(first, 0), min(last + 1, count)))
    return cuts[0], cuts[1], cuts[2]


def _whole(dose: Dose) -> Box:
    nz, ny, nx = dose.grid.shape
    return slice(0, nz), slice(0, ny), slice(0, nx)
