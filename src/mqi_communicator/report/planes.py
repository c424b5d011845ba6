"""Three planes through a point, with CT and outlines of the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.contours import Structure
from mqi_communicator.dicom.records import CTVolume, Dose
from mqi_communicator.report.gammas import values_of
from mqi_communicator.results.coverage import crossings
from mqi_communicator.results.grids import box_of, cut
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.planes import Plane, Point, nearest, planes, slab

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 0.1  # of the maximum: dose above this is in the picture
_MARGIN = 25.0  # mm around it


@dataclass(frozen=True, slots=True)
class Slice:
    """One plane of the CT: Hounsfield units, and where its edges are (left, right, first row's, last row's edge)."""

    hu: NDArray[np.float32]
    edges: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class View:
    """The planes through one point."""

    name: str
    point: Point
    planes: tuple[Plane, Plane, Plane]
    ct: tuple[Slice, Slice, Slice]
    outlines: tuple[tuple[NDArray[np.float64], ...], ...]  # by plane: polylines (n, 2) as (column, row) in mm
    centre: Point  # of the picture
    half: float  # mm: half the side of the square that is shown


def view_through(
    name: str,
    point: Point,
    planned: Dose | None,
    computed: Dose,
    gamma: GammaOptions,
    ct: CTVolume,
    targets: Sequence[Structure],
) -> View:
    """Cut planes out of doses, CT and outlines."""
    base = computed if planned is None else planned
    top = 0.0 if planned is None else float(np.nanmax(planned.gy, initial=0.0))
    made = planes(planned, computed, lambda part: values_of(part, computed, gamma, top), point)
    centre, half = _field(base, point)
    return View(
        name=name,
        point=point,
        planes=made,
        ct=tuple(_slice(ct, plane) for plane in made),  # type: ignore[arg-type]
        outlines=tuple(tuple(line for s in targets for line in _outline(s, plane, ct)) for plane in made),
        centre=centre,
        half=half,
    )


def _field(dose: Dose, point: Point) -> tuple[Point, float]:
    """Centre and half the side of a cube that contains the dose and the point."""
    top = float(np.nanmax(dose.gy, initial=0.0))
    part = cut(dose, box_of(dose.gy >= _SHOWN * top))
    ends = [(float(axis[0]), float(axis[-1])) for axis in reversed(part.grid.axes())]
    ends = [(min(low, at), max(high, at)) for (low, high), at in zip(ends, point, strict=True)]
    x, y, z = ((low + high) / 2 for low, high in ends)
    return (x, y, z), max(high - low for low, high in ends) / 2 + _MARGIN


def _slice(ct: CTVolume, plane: Plane) -> Slice:
    axes = ct.grid.axes()
    point = [0.0, 0.0, 0.0]
    point[2 - plane.axis] = plane.at
    index = nearest(ct.grid, (point[0], point[1], point[2]))[plane.axis]
    hu = ct.hu[slab(plane.axis, index)].squeeze(plane.axis)
    rows, columns = (axes[i] for i in range(3) if i != plane.axis)
    return Slice(hu, edges_of(rows, columns))


def edges_of(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Outer edges (left, right, first row's, last row's) of evenly spaced pixel centres."""
    down = float(rows[1] - rows[0]) / 2 if rows.size > 1 else 0.5
    right = float(columns[1] - columns[0]) / 2 if columns.size > 1 else 0.5
    return (
        float(columns[0]) - right,
        float(columns[-1]) + right,
        float(rows[0]) - down,
        float(rows[-1]) + down,
    )


def _outline(structure: Structure, plane: Plane, ct: CTVolume) -> list[NDArray[np.float64]]:
    """Where a plane cuts a structure. In coronal and sagittal planes: short strokes, one slice high."""
    half = ct.grid.spacing[2] / 2
    if plane.axis == 0:
        near = [(abs(z - plane.at), z) for z, _ in structure.contours]
        if not near or min(near)[0] > half:
            return []
        level = min(near)[1]
        return [np.vstack([corners, corners[:1]]) for z, corners in structure.contours if z == level]
    by_slice: dict[float, list[NDArray[np.float64]]] = {}
    for z, corners in structure.contours:
        by_slice.setdefault(z, []).append(corners)
    along = 1 if plane.axis == 1 else 0  # coronal cuts at one y, sagittal at one x
    return [
        np.array([[mm, z - half], [mm, z + half]])
        for z, areas in by_slice.items()
        for mm in crossings(areas, plane.at, along)
    ]
