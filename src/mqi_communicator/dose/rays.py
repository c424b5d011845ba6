"""The path of a beam's protons: straight rays from the scanning magnets through its spots. Pure.

A spot at (u, v) in the isocentre plane has the ray

    P(h) = isocentre + u (1 - h / sad_x) x + v (1 - h / sad_y) y + h z,

with x, y and z (towards the source) the axes of the IEC gantry system and h in mm towards the source. The beam's path
is wider than its rays by `MARGIN`: three standard deviations of a spot of 8 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.records import Beam, Grid, Layer, LayerKind
from mqi_communicator.dose.line_pieces import pieces_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Flags = NDArray[np.bool_]

MARGIN = 25.0  # mm in the isocentre plane
_NEAREST = 0.9  # of the shorter distance to a magnet: no patient is closer
_FIELD_STEP = 2.0  # mm
_LINE_STEP = 5.0  # mm along a line, between positions that stand for it


@dataclass(frozen=True, slots=True)
class BeamPath:
    """The rays of one beam."""

    number: int  # BeamNumber
    isocenter: tuple[float, float, float]  # mm
    axes: Doubles  # (3, 3): rows x, y and z of the gantry system in the patient system
    sad: tuple[float, float]  # mm, of the x and y magnet
    spots: Doubles  # (n, 2): distinct positions with a weight, mm in the isocentre plane
    energy: float  # MeV, the highest

    def points(self, spots: Doubles, heights: Doubles) -> Doubles:
        """(n, m, 3): the points in mm of n rays, given by (n, 2) positions in the isocentre plane, at m heights h."""
        u = spots[:, :1] * (1 - heights / self.sad[0])
        v = spots[:, 1:] * (1 - heights / self.sad[1])
        along = np.broadcast_to(heights, u.shape)
        found: Doubles = np.asarray(self.isocenter) + np.stack([u, v, along], axis=-1) @ self.axes
        return found

    def project(self, points: Doubles) -> Doubles:
        """(..., 3): (u, v) in the isocentre plane of the rays through these points, and their heights h, in mm.

        Points near the magnets or behind them, which no ray passes before a patient, get NaN for u and v.
        """
        local: Doubles = (points - np.asarray(self.isocenter)) @ self.axes.T
        height = local[..., 2]
        near = height >= _NEAREST * min(self.sad)
        for axis, sad in enumerate(self.sad):
            local[..., axis] /= np.where(near, np.nan, 1 - height / sad)
        return local

    def sample(self, most: int) -> Doubles:
        """At most about `most` spots, the outermost in 16 directions among them."""
        if len(self.spots) <= most:
            return self.spots
        turns = np.arange(16) * math.pi / 8
        outermost = np.argmax(self.spots @ np.stack([np.cos(turns), np.sin(turns)]), axis=0)
        spread = np.linspace(0, len(self.spots) - 1, max(2, most - len(turns))).astype(int)
        found: Doubles = self.spots[np.unique(np.concatenate([outermost, spread]))]
        return found


def beam_path_of(beam: Beam, sad: tuple[float, float]) -> BeamPath:
    """The rays of a beam whose scanning magnets are so far (mm, x and y) from the isocentre."""
    spots = np.unique(np.concatenate([_reached(layer) for layer in beam.layers]), axis=0)
    return BeamPath(
        beam.number, beam.isocenter, beam_axes(beam), sad, spots, max(layer.energy for layer in beam.layers)
    )


def beam_axes(beam: Beam) -> Doubles:
    """(3, 3): the IEC gantry axes x, y and z (towards the source) of a beam as rows, in the patient system."""
    to_patient = POSITIONS[beam.position].inverse
    axes = gantry_axes(beam.gantry_angle, beam.couch_angle)
    return np.array([to_patient.point((float(x), float(y), float(z))) for x, y, z in axes])


def _reached(layer: Layer) -> Doubles:
    """(n, 2): where a layer's protons pass the isocentre plane; the ways of line scanning at both ends and between."""
    if layer.kind is not LayerKind.LINES:
        return layer.spots[layer.weights > 0]
    used = np.flatnonzero(layer.weights > 0)
    return np.concatenate([layer.spots[used], layer.spots[np.maximum(used - 1, 0)], pieces_of(layer, _LINE_STEP)[0]])


def gantry_axes(gantry: float, couch: float) -> tuple[Doubles, Doubles, Doubles]:
    """The IEC gantry axes x, y and z (towards the source) as unit vectors in the DICOM patient system, HFS."""
    g, c = math.radians(gantry), math.radians(couch)
    turned = np.array([[math.cos(c), math.sin(c), 0.0], [-math.sin(c), math.cos(c), 0.0], [0.0, 0.0, 1.0]])
    to_dicom = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    tilted = np.array([[math.cos(g), 0.0, math.sin(g)], [0.0, 1.0, 0.0], [-math.sin(g), 0.0, math.cos(g)]])
    x_axis, y_axis, z_axis = (to_dicom @ turned @ tilted).T
    return x_axis, y_axis, z_axis


@dataclass(frozen=True, slots=True)
class Field:
    """The part of the isocentre plane within a margin of any spot, as a raster that covers all of it."""

    low: tuple[float, float]  # mm, (u, v) of cell [0, 0]
    near: Flags  # [u, v]
    step: float = _FIELD_STEP  # mm between cells

    def index(self, u: Doubles, v: Doubles) -> tuple[NDArray[np.int64], NDArray[np.int64], Flags]:
        """The cells of these positions, clipped to the raster, and whether they are in the field."""
        cells = []
        inside = np.ones(u.shape, dtype=bool)
        for values, low, count in zip((u, v), self.low, self.near.shape, strict=True):
            cell = np.nan_to_num(np.rint((values - low) / self.step), nan=-1.0)
            inside &= (cell >= 0) & (cell < count)
            cells.append(np.clip(cell, 0, count - 1).astype(np.int64))
        return cells[0], cells[1], inside & self.near[cells[0], cells[1]]

    @property
    def positions(self) -> Doubles:
        """(n, 2): (u, v) in mm of the cells in the field, in the order of `near`."""
        found: Doubles = np.argwhere(self.near) * self.step + np.asarray(self.low)
        return found


def field_of(beam_path: BeamPath, margin: float = MARGIN) -> Field:
    """Everything within `margin` mm of a spot in the isocentre plane."""
    reach = margin + 1.5 * _FIELD_STEP  # spots and positions are each rounded to a cell
    low = beam_path.spots.min(axis=0) - reach - _FIELD_STEP
    count = np.ceil((beam_path.spots.max(axis=0) + reach - low) / _FIELD_STEP).astype(int) + 2
    empty = np.ones(count, dtype=bool)
    empty[tuple(np.rint((beam_path.spots - low) / _FIELD_STEP).astype(int).T)] = False
    return Field((float(low[0]), float(low[1])), distance_transform_edt(empty, _FIELD_STEP) <= reach)


def heights_across(beam_path: BeamPath, grid: Grid, step: float) -> Doubles:
    """Heights h in mm, from the source's side on, at which any ray of the beam may be in the grid, `step` mm apart."""
    axes = grid.axes()[::-1]
    corners = np.array(np.meshgrid(*[(a[0], a[-1]) for a in axes], indexing="ij")).reshape(3, -1).T
    heights = (corners - np.asarray(beam_path.isocenter)) @ beam_path.axes[2]
    high = min(float(heights.max()), _NEAREST * min(beam_path.sad))
    return np.arange(high + step, heights.min() - step, -step)


def voxels_at(points: Doubles, grid: Grid) -> tuple[tuple[NDArray[np.int64], ...], Flags]:
    """The voxels (z, y, x) that these points in mm are in, clipped to the grid, and whether they are in the grid."""
    cells, inside = [], np.ones(points.shape[:-1], dtype=bool)
    for axis, count in zip((2, 1, 0), grid.shape, strict=True):
        cell = np.rint((points[..., axis] - grid.origin[axis]) / grid.spacing[axis]).astype(np.int64)
        inside &= (cell >= 0) & (cell < count)
        cells.append(np.clip(cell, 0, count - 1))
    return tuple(cells), inside
