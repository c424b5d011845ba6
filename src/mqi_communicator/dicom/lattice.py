"""Grids that are parts of one grid, as the kept parts of doses are parts of the CT's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Box = tuple[slice, slice, slice]

_SAME_MM = 1e-3


def steps_between(a: Grid, b: Grid) -> tuple[int, int, int] | None:
    """How many voxels (z, y, x) the first voxel of `b` is after that of `a`, if the voxels of both are on one lattice
    to within a micrometre; None otherwise."""
    steps = []
    for own, other, spacing, its, count in zip(a.origin, b.origin, a.spacing, b.spacing, b.shape[::-1], strict=True):
        step = round((other - own) / spacing)
        off = abs(own + step * spacing - other) + count * abs(spacing - its)
        if off > _SAME_MM:
            return None
        steps.append(step)
    return steps[2], steps[1], steps[0]


def united(grids: Sequence[Grid]) -> Grid | None:
    """The smallest grid with the voxels of all these grids; None if they are not on one lattice."""
    first = grids[0]
    found = [steps_between(first, grid) for grid in grids]
    begins = [one for one in found if one is not None]
    if len(begins) < len(grids):
        return None
    low = [min(one[axis] for one in begins) for axis in range(3)]
    high = [max(one[axis] + grid.shape[axis] for one, grid in zip(begins, grids, strict=True)) for axis in range(3)]
    x, y, z = (o + step * n for o, step, n in zip(first.origin, first.spacing, reversed(low), strict=True))
    return Grid((high[0] - low[0], high[1] - low[1], high[2] - low[2]), (x, y, z), first.spacing)


def place_in(whole: Grid, part: Grid) -> Box | None:
    """Where the voxels of `part` are in `whole`; None if they are not voxels of it."""
    steps = steps_between(whole, part)
    if steps is None:
        return None
    cuts = [slice(step, step + count) for step, count in zip(steps, part.shape, strict=True)]
    inside = all(one.start >= 0 and one.stop <= count for one, count in zip(cuts, whole.shape, strict=True))
    return (cuts[0], cuts[1], cuts[2]) if inside else None


def box_near(grid: Grid, points: NDArray[np.float64], margin: float) -> Box | None:
    """The voxels within `margin` mm of the box that holds `points` (n, 3), x, y, z in mm, and one more on each side;
    None if there are none."""
    import numpy as np

    cuts: list[slice] = []
    for axis, own in enumerate(grid.axes()):
        side = points[:, 2 - axis]
        keep = np.flatnonzero((own >= side.min() - margin) & (own <= side.max() + margin))
        if keep.size == 0:
            return None
        cuts.append(slice(max(int(keep[0]) - 1, 0), min(int(keep[-1]) + 2, own.size)))
    return cuts[0], cuts[1], cuts[2]


def part_of(grid: Grid, box: Box) -> Grid:
    """The grid of a box [z, y, x] of its voxels, whose slices have a start and a stop within it."""
    nz, ny, nx = (one.stop - one.start for one in box)
    x, y, z = (
        start + step * one.start for start, step, one in zip(grid.origin, grid.spacing, reversed(box), strict=True)
    )
    return Grid((nz, ny, nx), (x, y, z), grid.spacing)
