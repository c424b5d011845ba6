"""Dose-volume histograms of contoured structures. Pure.

Each structure is sampled slice by slice on a raster of its own, and only counts are kept, so that memory use does not
depend on its size. A raster point is inside by the even-odd rule over all contours of its slice, so that a
keyhole or a contour within a contour is a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose
from mqi_communicator.results.grids import at_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

Contour = tuple[float, "NDArray[np.float64]"]  # (z in mm, corners (n, 2) as x, y in mm)

_BINS = 2000
_FINEST = 0.25  # mm between raster points in the plane
_POINTS = 250_000  # of one structure, about
_NEXT = 2.5  # slices: contours farther apart than this are not connected


@dataclass(frozen=True, slots=True)
class Histogram:
    """The dose of one structure. `volume` [k] is the part of it (0..1) that receives at least k * `step` Gy."""

    step: float
    volume: NDArray[np.float64]
    mean: float  # Gy

    def dose_at(self, percent: float) -> float:
        """D of `percent` of the volume: the minimum dose of that part, in Gy."""
        levels = self.step * np.arange(len(self.volume))
        return float(np.interp(-percent / 100, -self.volume, levels))

    def volume_at(self, gy: float) -> float:
        """V of `gy`: the part of the volume that receives at least this dose, in %."""
        levels = self.step * np.arange(len(self.volume))
        return 100 * float(np.interp(gy, levels, self.volume))


@dataclass(frozen=True, slots=True)
class Dvh:
    """One structure in both doses. Only points on both grids are counted."""

    volume_cc: float  # of the contours
    covered: float  # 0..1: how much of it is on both dose grids
    planned: Histogram
    computed: Histogram


def dvh(contours: Sequence[Contour], slice_mm: float, planned: Dose, computed: Dose) -> Dvh | None:
    """Planned and computed DVH; None if no point of the structure is on both grids.

    `slice_mm` is the distance of CT slices: the thickness of a contour without neighbours.
    """
    slices = _by_slice(contours)
    thickness = _thicknesses(sorted(slices), slice_mm)
    top = float(max(np.nanmax(planned.gy, initial=0.0), np.nanmax(computed.gy, initial=0.0)))
    if top <= 0 or not slices:
        return None
    step = top / _BINS * 1.001
    counts = np.zeros((2, _BINS + 1))
    sums = np.zeros(2)
    whole = seen = 0.0
    gap = _raster(slices)
    for z, areas in slices.items():
        points = _inside(areas, z, gap)
        weight = gap * gap * thickness[z]
        whole += weight * len(points)
        both = np.stack([at_points(planned, points), at_points(computed, points)])
        both = both[:, np.isfinite(both).all(axis=0)]
        seen += weight * both.shape[1]
        sums += weight * both.sum(axis=1)
        for row in (0, 1):
            index = np.clip((both[row] / step).astype(np.intp), 0, _BINS)
            counts[row] += weight * np.bincount(index, minlength=_BINS + 1)
    if seen <= 0:
        return None
    before, after = (
        Histogram(step, counts[row, ::-1].cumsum()[::-1] / seen, float(sums[row] / seen)) for row in (0, 1)
    )
    return Dvh(whole / 1000, seen / whole, before, after)


def _by_slice(contours: Sequence[Contour]) -> dict[float, list[NDArray[np.float64]]]:
    found: dict[float, list[NDArray[np.float64]]] = {}
    for z, corners in contours:
        found.setdefault(z, []).append(corners)
    return found


def _thicknesses(levels: Sequence[float], slice_mm: float) -> dict[float, float]:
    """Thickness of each plane in mm: half the distance to each neighbour, or half a slice if there is none."""
    far = _NEXT * slice_mm

    def half(a: float, b: float | None) -> float:
        return abs(a - b) / 2 if b is not None and abs(a - b) <= far else slice_mm / 2

    before = [None, *levels[:-1]]
    after = [*levels[1:], None]
    return {z: half(z, low) + half(z, high) for low, z, high in zip(before, levels, after, strict=True)}


def _raster(slices: dict[float, list[NDArray[np.float64]]]) -> float:
    """Distance of raster points, so that a structure has about _POINTS of them, but not less than _FINEST."""
    area = sum(_area(corners) for areas in slices.values() for corners in areas)
    return float(max(_FINEST, (area / _POINTS) ** 0.5))


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def crossings(areas: Sequence[NDArray[np.float64]], level: float, axis: int) -> NDArray[np.float64]:
    """Where the line `axis` = `level` (0: x, 1: y) crosses the outlines, in mm along the other axis, ascending."""
    found = []
    for corners in areas:
        here, there = corners, np.roll(corners, -1, axis=0)
        cut = (here[:, axis] <= level) != (there[:, axis] <= level)
        a, b = here[cut], there[cut]
        part = (level - a[:, axis]) / (b[:, axis] - a[:, axis])
        found.append(a[:, 1 - axis] + part * (b[:, 1 - axis] - a[:, 1 - axis]))
    return np.sort(np.concatenate(found)) if found else np.empty(0)


def _inside(areas: Sequence[NDArray[np.float64]], z: float, gap: float) -> NDArray[np.float64]:
    """Raster points (n, 3) in these outlines, x, y, z in mm: those with an odd number of crossings before them."""
    corners = np.concatenate(areas)
    (left, front), (right, back) = corners.min(axis=0), corners.max(axis=0)
    x = np.arange(left + gap / 2, right + gap, gap)
    y = np.arange(front + gap / 2, back + gap, gap)
    row, at = _crossings_of_rows(areas, y)
    turns = np.zeros((y.size, x.size + 1), dtype=np.int32)
    np.add.at(turns, (row, np.searchsorted(x, at, side="right")), 1)
    inside = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    j, i = np.nonzero(inside)
    return np.stack([x[i], y[j], np.full(j.size, z)], axis=1)


def _crossings_of_rows(
    areas: Sequence[NDArray[np.float64]], y: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where rows at `y` cross the outlines: the row's index, and x in mm, of each crossing. See `crossings`."""
    here, there = np.concatenate(areas), np.concatenate([np.roll(corners, -1, axis=0) for corners in areas])
    row, edge = np.nonzero((here[:, 1] <= y[:, None]) != (there[:, 1] <= y[:, None]))
    a, b = here[edge], there[edge]
    part = (y[row] - a[:, 1]) / (b[:, 1] - a[:, 1])
    return row, a[:, 0] + part * (b[:, 0] - a[:, 0])
