"""Dose-volume histograms of contoured structures. Pure.

A structure is divided into cells (`results.coverage`), each counted with its volume within the contours and the dose at
its centre, linear between voxels. Only counts are kept, so that memory use does not depend on the structure's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose, Grid
from mqi_communicator.results.coverage import Contour, Slab, slabs
from mqi_communicator.results.grids import indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 10_000

Fields = Callable[[Slab], "NDArray[np.float64]"]
"""Doses in Gy at the cells of a slab: [dose, layer, row, column]; NaN outside a grid."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """The dose of one structure. `volume` [k] is the part of it (0..1) that receives at least k * `step` Gy."""

    step: float
    volume: NDArray[np.float64]
    mean: float  # Gy

    @property
    def top(self) -> float:
        """The highest dose, in Gy."""
        return self.step * float(np.count_nonzero(self.volume))

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
    """One structure in both doses. Only cells on the planned grid are counted."""

    volume_cc: float  # of the contours
    covered: float  # 0..1: how much of it is on the planned grid
    planned: Histogram
    computed: Histogram


def dvh(contours: Sequence[Contour], slice_mm: float, planned: Dose, computed: Dose) -> Dvh | None:
    """Planned and computed DVH; None if no cell of the structure is on the planned grid. The computed dose is 0 outside
    its grid, which holds all of it.

    `slice_mm` is the distance of CT slices: the thickness of a contour without neighbours.
    """
    top = float(max(np.nanmax(planned.gy, initial=0.0), np.nanmax(computed.gy, initial=0.0)))
    before = sampler(planned.grid, plane_of(planned))
    after = sampler(computed.grid, plane_of(computed), outside=0.0)
    found = histograms(contours, slice_mm, lambda slab: np.concatenate([before(slab), after(slab)]), top)
    if found is None:
        return None
    (first, second), volume, covered = found
    return Dvh(volume, covered, first, second)


def histograms(
    contours: Sequence[Contour], slice_mm: float, fields: Fields, top: float
) -> tuple[list[Histogram], float, float] | None:
    """The histogram of each field, up to `top` Gy; the volume of the contours in cc; the part of it (0..1) where all
    fields are known. None if that is nothing."""
    if top <= 0 or not contours:
        return None
    step = top / _BINS * 1.001
    whole = seen = 0.0
    counts: NDArray[np.float64] | None = None
    sums: NDArray[np.float64] | float = 0.0
    for slab in slabs(contours, slice_mm):
        inside = slab.inside > 0
        weight = np.tile(slab.inside[inside], slab.levels.size)
        doses = fields(slab)[:, :, inside].reshape(-1, weight.size)
        whole += float(weight.sum())
        known = np.isfinite(doses).all(axis=0)
        if not known.all():
            doses, weight = doses[:, known], weight[known]
        counts = np.zeros((doses.shape[0], _BINS + 1)) if counts is None else counts
        seen += float(weight.sum())
        sums = sums + doses @ weight
        for row, dose in enumerate(doses):
            index = np.clip(dose / step, 0, _BINS).astype(np.intp)
            counts[row] += np.bincount(index, weight, minlength=_BINS + 1)
    if counts is None or seen <= 0:
        return None
    made = []
    for count, total in zip(counts, np.asarray(sums), strict=True):
        above = count[::-1].cumsum()[::-1]
        made.append(Histogram(step, above / above[0], float(total / seen)))
    return made, whole / 1000, seen / whole


def plane_of(dose: Dose) -> Callable[[int], NDArray[np.float32]]:
    """The planes of a dose, for `sampler`."""
    return lambda index: dose.gy[index][None]


def sampler(grid: Grid, plane: Callable[[int], NDArray[np.float32]], outside: float = np.nan) -> Fields:
    """Fields that are linear between the voxels of a grid. `plane` gives those of one z index: [field, y, x].

    `outside`: their value outside the grid.
    """

    def sample(slab: Slab) -> NDArray[np.float64]:
        (z, far_z), (y, far_y), (x, far_x) = (
            indices(grid, axis, mm) for axis, mm in enumerate((slab.levels, slab.rows, slab.columns))
        )
        layers = []
        for index in z:
            low = int(index)
            lower = _mixed(plane(low), y, x)
            part = index - low
            layers.append(lower if part == 0 else lower + part * (_mixed(plane(low + 1), y, x) - lower))
        made = np.stack(layers, axis=1)
        made[:, far_z] = outside
        made[:, :, far_y] = outside
        made[:, :, :, far_x] = outside
        return made

    return sample


def _mixed(plane: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plane [field, y, x] at fractional indices of rows and columns."""
    low_y, low_x = y.astype(np.intp), x.astype(np.intp)
    box = plane[:, low_y[0] : low_y[-1] + 2, low_x[0] : low_x[-1] + 2].astype(np.float64)
    high_y = np.minimum(low_y - low_y[0] + 1, box.shape[1] - 1)
    high_x = np.minimum(low_x - low_x[0] + 1, box.shape[2] - 1)
    rows = box[:, low_y - low_y[0]]
    rows += (y - low_y)[:, None] * (box[:, high_y] - rows)
    made = rows[:, :, low_x - low_x[0]]
    made += (x - low_x) * (rows[:, :, high_x] - made)
    return made
