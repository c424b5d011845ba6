"""How much water-equivalent path a changed CT takes from the rays of beams, or adds to them. Pure.

A sample of each beam's rays is followed from the source's side in steps of 1 mm, until the protons of its highest
energy have stopped in the CT before the change and in the CT after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.rays import BeamPath, heights_across, voxels_at
from mqi_communicator.dose.stopping import range_in_water

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_RAYS = 300  # of a beam
_STEP = 1.0  # mm
_MORE = 1.05  # of the range in water


class WaterPaths:
    """The rays of one beam, to be filled slice by slice."""

    def __init__(self, beam_path: BeamPath, grid: Grid) -> None:
        self.number = beam_path.number
        spots = beam_path.sample(_RAYS)
        heights = heights_across(beam_path, grid, _STEP)
        (z, y, x), inside = voxels_at(beam_path.points(spots, heights), grid)
        self._reach = range_in_water(beam_path.energy) * _MORE
        self._step = _STEP * np.sqrt(1 + ((spots / np.asarray(beam_path.sad)) ** 2).sum(axis=1))  # mm along each ray
        self._before, self._after = np.zeros(z.shape), np.zeros(z.shape)
        self._owner = np.full(z.shape, -1, dtype=np.int16)
        at = np.flatnonzero(inside)
        at = at[np.argsort(z.ravel()[at], kind="stable")]
        bounds = np.searchsorted(z.ravel()[at], np.arange(grid.shape[0] + 1))
        self._at = [at[begin:end] for begin, end in itertools.pairwise(bounds.tolist())]
        self._y, self._x = y.ravel(), x.ravel()

    def voxels(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows and columns of a slice that the rays pass, once for each step."""
        at = self._at[index]
        return self._y[at], self._x[at]

    def record(self, index: int, before: Doubles, after: Doubles, owner: NDArray[np.int16]) -> None:
        """Set the ratios at `voxels(index)` before and after the change, and the number of what changes them."""
        at = self._at[index]
        self._before.flat[at], self._after.flat[at], self._owner.flat[at] = before, after, owner

    def changes(self, owners: Sequence[int]) -> Mapping[int, float]:
        """The change in mm of water by each of these owners, on the ray with most of it (positive: more water)."""
        step = self._step[:, None]
        before, after = self._before * step, self._after * step
        crossed = np.minimum(before.cumsum(axis=1) - before, after.cumsum(axis=1) - after)
        change = np.where(crossed <= self._reach, after - before, 0.0)
        found = {}
        for owner in owners:
            rays = np.where(self._owner == owner, change, 0.0).sum(axis=1)
            found[owner] = float(rays[np.argmax(np.abs(rays))]) if len(rays) else 0.0
        return found
