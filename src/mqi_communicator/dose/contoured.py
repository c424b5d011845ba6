"""The voxels of a structure: those whose centre is inside its contours, by the even-odd rule in each plane. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Contour = tuple[float, NDArray[np.float64]]
    Flags = NDArray[np.bool_]

_OWN = 0.3  # of the distance between slices: a contour this close to a slice belongs to it
_NEXT = 2.5  # times the usual distance between planes: between planes farther apart there is nothing
_ROUNDING = 1e-3  # mm
_CROSSINGS = 1_000_000  # computed at once, about 100 MB


class Contoured:
    """A structure on a grid.

    A slice without a plane of contours has the voxels of both planes around it, if these are close enough; beyond the
    first and the last plane the structure extends half the usual distance between planes.
    """

    def __init__(self, contours: Sequence[Contour], grid: Grid) -> None:
        """`contours`: (z in mm, corners (n, 2) as x, y in mm), in any order."""
        self._grid = grid
        planes: dict[float, dict[bytes, NDArray[np.float64]]] = {}
        for z, corners in contours:
            planes.setdefault(round(z, 2), {})[(corners + 0.0).tobytes()] = corners  # a duplicate would cancel itself
        self._planes = {level: list(plane.values()) for level, plane in planes.items()}

    @cached_property
    def slices(self) -> dict[int, tuple[float, ...]]:
        """The slices of the grid in which the structure may have voxels, each with the planes of contours that define
        them."""
        levels = sorted(self._planes)
        if not levels:
            return {}
        dz = self._grid.spacing[2]
        gaps = sorted(after - before for before, after in itertools.pairwise(levels))
        usual = max(gaps[len(gaps) // 2] if gaps else dz, dz)
        found = {}
        for index, z in enumerate(self._grid.axes()[0].tolist()):
            if own := tuple(level for level in levels if abs(level - z) <= _OWN * dz):
                found[index] = own
                continue
            below = max((level for level in levels if level < z), default=None)
            above = min((level for level in levels if level > z), default=None)
            if below is not None and above is not None and above - below <= _NEXT * usual:
                found[index] = (below, above)
            else:
                near = tuple(one for one in (below, above) if one is not None and abs(one - z) <= usual / 2 + _ROUNDING)
                if near:
                    found[index] = near
        return found

    def inside(self, index: int) -> Flags:
        """[y, x]: whether the centres of this slice's voxels are in the structure."""
        inside = np.zeros(self._grid.shape[1:], dtype=bool)
        for level in self.slices.get(index, ()):
            inside |= self._filled(level)
        return inside

    def _filled(self, level: float) -> Flags:
        """[y, x]: the voxels of one plane, by how often a line along x crosses an edge before it reaches them."""
        _, ny, nx = self._grid.shape
        (x0, y0, _), (dx, dy, _) = self._grid.origin, self._grid.spacing
        crossings = np.zeros(ny * (nx + 1), dtype=np.uint8)
        for corners in self._planes[level]:
            xa, ya = (corners[:, 0] - x0) / dx, (corners[:, 1] - y0) / dy
            xb, yb = np.roll(xa, -1), np.roll(ya, -1)
            first, end = (np.clip(np.ceil(edge(ya, yb)), 0, ny).astype(np.int64) for edge in (np.minimum, np.maximum))
            count = end - first
            for some in _parts(count):
                edges = np.repeat(some, count[some])
                rows = np.arange(len(edges)) - np.repeat(count[some].cumsum() - count[some], count[some]) + first[edges]
                share = (rows - ya[edges]) / (yb - ya)[edges]
                at = xa[edges] + share * (xb - xa)[edges]
                cells = rows * (nx + 1) + np.clip(np.ceil(at), 0, nx).astype(np.int64)
                crossings += np.bincount(cells, minlength=len(crossings)).astype(np.uint8)  # even or odd is what counts
        odd = crossings.reshape(ny, nx + 1).cumsum(axis=1, dtype=np.uint8)[:, :nx] & 1
        return np.asarray(odd.astype(bool))


def _parts(count: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The indices of `count` in parts whose counts add up to about `_CROSSINGS`."""
    ends = np.searchsorted(count.cumsum(), np.arange(_CROSSINGS, count.sum() + _CROSSINGS, _CROSSINGS), side="right")
    for begin, end in itertools.pairwise([0, *ends.tolist()]):
        yield np.arange(begin, end)
