"""The part of each raster cell that is inside the contours of a structure. Pure.

A contour is valid for its slab, which reaches half the way to each neighbouring contour, and the structure is a prism
there, as in planning systems: a sphere of radius R with contours h apart has its volume to about (h / 2R)². What of a
cell is inside is the mean length of four lines through it between the outlines. Even-odd over all contours of a slice:
a keyhole or a contour within a contour is a hole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Contour = tuple[float, "NDArray[np.float64]"]  # (z in mm, corners (n, 2) as x, y in mm)

_CELLS = 200_000  # of one structure, about
_FINEST, _COARSEST = 0.25, 1.5  # mm, side of a cell
_LINES = 4  # per row of cells
_NEXT = 2.5  # slices: contours farther apart than this are not connected


@dataclass(frozen=True, slots=True)
class Slab:
    """The cells of one slice of a structure. Lengths in mm."""

    levels: NDArray[np.float64]  # z of the middle of each layer of cells
    rows: NDArray[np.float64]  # y of their centres
    columns: NDArray[np.float64]  # x of their centres
    inside: NDArray[np.float64]  # [row, column]: volume in mm³ of one cell within the structure; equal in all layers


def slabs(contours: Sequence[Contour], slice_mm: float) -> Iterator[Slab]:
    """The cells of a structure, slice by slice. `slice_mm`: thickness of a contour without neighbours."""
    slices = by_slice(contours)
    thickness = _extents(sorted(slices), slice_mm)
    side = _side(slices, thickness)
    for z, areas in slices.items():
        below, above = thickness[z]
        layers = max(1, round((below + above) / side))
        height = (below + above) / layers
        levels = _centres(z - below, z + above, layers)
        corners = np.concatenate(areas)
        (left, front), (right, back) = corners.min(axis=0), corners.max(axis=0)
        across, down = max(1, math.ceil((right - left) / side)), max(1, math.ceil((back - front) / side))
        columns, rows = _centres(left, right, across), _centres(front, back, down)
        lines = _lengths(areas, _centres(front, back, _LINES * down), columns)
        area = (back - front) / (_LINES * down) * lines.reshape(down, _LINES, across).sum(axis=1)
        yield Slab(levels, rows, columns, np.asarray(height * area, dtype=np.float64))


def by_slice(contours: Sequence[Contour]) -> dict[float, list[NDArray[np.float64]]]:
    """The outlines of each slice, by z in mm, ascending."""
    found: dict[float, list[NDArray[np.float64]]] = {}
    for z, corners in sorted(contours, key=lambda contour: contour[0]):
        found.setdefault(z, []).append(corners)
    return found


def _extents(levels: Sequence[float], slice_mm: float) -> dict[float, tuple[float, float]]:
    """How far each slab reaches below and above its contour: half the distance to the neighbour, or half a slice."""
    far = _NEXT * slice_mm

    def half(a: float, b: float | None) -> float:
        return abs(a - b) / 2 if b is not None and abs(a - b) <= far else slice_mm / 2

    before = [None, *levels[:-1]]
    after = [*levels[1:], None]
    return {z: (half(z, low), half(z, high)) for low, z, high in zip(before, levels, after, strict=True)}


def _side(slices: dict[float, list[NDArray[np.float64]]], extents: dict[float, tuple[float, float]]) -> float:
    """Side of a cell, so that a structure has about _CELLS of them."""
    volume = sum(sum(extents[z]) * _area(corners) for z, areas in slices.items() for corners in areas)
    return float(np.clip((volume / _CELLS) ** (1 / 3), _FINEST, _COARSEST))


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def _centres(low: float, high: float, count: int) -> NDArray[np.float64]:
    """Centres of `count` equal cells from `low` to `high`."""
    return np.asarray(low + (high - low) / count * (np.arange(count) + 0.5))


def _lengths(
    areas: Sequence[NDArray[np.float64]], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[row, column]: mm within the outlines of each line y = `rows`, cut between the columns."""
    left = min(corners[:, 0].min() for corners in areas)
    size = 2 * (columns[0] - left)
    edges = left + size * np.arange(columns.size + 1)
    row, at = _crossings(areas, rows)
    counts = np.bincount(row, minlength=rows.size)
    rank = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    to_edge = np.zeros((rows.size, edges.size))  # length within the outlines from the left to each edge of a cell
    for place in range(int(counts.max(initial=0))):
        mine = rank == place
        part = np.maximum(edges - at[mine, None], 0)
        to_edge[row[mine]] += part if place % 2 == 0 else -part
    return np.diff(to_edge, axis=1)


def _crossings(
    areas: Sequence[NDArray[np.float64]], rows: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where the lines y = `rows` cross the outlines: index of the row, x in mm; by row, then by x."""
    here = np.concatenate(areas)
    there = np.concatenate([np.roll(corners, -1, axis=0) for corners in areas])
    first = np.searchsorted(rows, np.minimum(here[:, 1], there[:, 1]), side="left")
    last = np.searchsorted(rows, np.maximum(here[:, 1], there[:, 1]), side="left")
    count = last - first
    edge = np.repeat(np.arange(here.shape[0]), count)
    row = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    a, b = here[edge], there[edge]
    x = a[:, 0] + (rows[row] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    order = np.lexsort((x, row))
    return row[order], x[order]


def crossings(areas: Sequence[NDArray[np.float64]], level: float, axis: int) -> NDArray[np.float64]:
    """Where the line `axis` = `level` (0: x, 1: y) crosses the outlines, in mm along the other axis, ascending."""
    turned = areas if axis == 1 else [corners[:, ::-1] for corners in areas]
    return _crossings(turned, np.array([level]))[1] if areas else np.empty(0)
