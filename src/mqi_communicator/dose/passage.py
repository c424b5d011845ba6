"""The part of a CT that the protons of a beam may pass. Pure.

It is everything within `rays.MARGIN` of one of its spots' rays, from the source to the depth in water that its highest
energy reaches, plus 10 % and 20 mm, on the least shielded ray in that neighbourhood.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import minimum_filter

from mqi_communicator.dicom.records import CTVolume
from mqi_communicator.dose.rays import MARGIN, BeamPath, Field, field_of, heights_across, voxels_at
from mqi_communicator.dose.stopping import Ratio, range_in_water

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_MORE, _SPARE = 1.1, 20.0  # of the range in water, and mm beyond
_RAYS = 2000  # at a time
_COARSE = 5.0  # mm


class Passage:
    """The part of a CT that one beam passes."""

    def __init__(self, beam_path: BeamPath, ct: CTVolume, ratio: Ratio) -> None:
        """`ratio`: stopping ratios from HU; unknown ones (NaN) count as 0."""
        self._beam_path, self._ct, self._ratio = beam_path, ct, ratio
        self.number = beam_path.number

    def passes(self, points: Doubles) -> Flags:
        """Whether the beam may pass these points (n, 3), in mm."""
        seen = self._beam_path.project(points)
        u, v, inside = self._field.index(seen[:, 0], seen[:, 1])
        if not inside.any():
            return np.asarray(inside)
        return np.asarray(inside & (seen[:, 2] >= self._ends[u, v]))

    def enters(self, points: Doubles) -> Flags:
        """Whether protons that pass these points (n, 3), in mm, may enter the CT after that."""
        enters = self.passes(points)
        found = np.flatnonzero(enters)
        heights = heights_across(self._beam_path, self._ct.grid, _COARSE)
        for begin in range(0, len(found), _RAYS):
            some = found[begin : begin + _RAYS]
            seen = self._beam_path.project(points[some])
            _, inside = voxels_at(self._beam_path.points(seen[:, :2], heights), self._ct.grid)
            enters[some] = (inside & (heights < seen[:, 2:])).any(axis=1)
        return enters

    @cached_property
    def _field(self) -> Field:
        return field_of(self._beam_path)

    @cached_property
    def _ends(self) -> Doubles:
        """The height in mm, per cell of the field, that no proton within its margin passes."""
        step = max(2.0, min(self._ct.grid.spacing))
        heights = heights_across(self._beam_path, self._ct.grid, step)
        reach = range_in_water(self._beam_path.energy) * _MORE + _SPARE
        cells = np.argwhere(self._field.near)
        ends = np.full(self._field.near.shape, np.inf)
        for begin in range(0, len(cells), _RAYS):
            some = self._field.positions[begin : begin + _RAYS]
            ends[tuple(cells[begin : begin + _RAYS].T)] = self._end(some, heights, step, reach)
        span = np.arange(-MARGIN, MARGIN + self._field.step, self._field.step)
        disc = np.hypot(span[:, None], span[None, :]) <= MARGIN + self._field.step
        return np.asarray(minimum_filter(ends, footprint=disc, mode="constant", cval=np.inf))

    def _end(self, spots: Doubles, heights: Doubles, step: float, reach: float) -> Doubles:
        """The height at which each of these rays has crossed so much water (mm); unknown ratios count as zero."""
        voxels, inside = voxels_at(self._beam_path.points(spots, heights), self._ct.grid)
        water = np.where(inside, np.nan_to_num(self._ratio(self._ct.hu[voxels])), 0.0).cumsum(axis=1) * step
        crossed = water > reach
        return np.where(crossed.any(axis=1), heights[np.argmax(crossed, axis=1)], -np.inf)
