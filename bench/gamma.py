"""Cost of gamma compared with pymedphys, as it was used before the kernel: CPU time of both, in one process.

A cube of 10 cm with 2 Gy, and 0.6 Gy in front of it and behind it, in a grid of 20 cm with voxels of 2 mm (267 500
points), and 1 % of noise in the computed dose. pymedphys needs two minutes for it where the computed dose is 30 % too
high: it is compared on a cube of 5 cm in 10 cm (31 104 points), what the product needs for the two doses on the large.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pymedphys
from numpy.typing import NDArray

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.results.gamma import gamma_index
from mqi_communicator.results.options import GammaOptions

SMALL = (Grid((56, 54, 54), (-53.0, -53.0, -55.0), (2.0, 2.0, 2.0)), 25.0)  # and half a side of the cube in mm
LARGE = (Grid((110, 107, 107), (-107.0, -107.0, -107.0), (2.0, 2.0, 2.0)), 50.0)
OPTIONS = GammaOptions()
ROUNDS = 20  # of ours, which takes a millisecond


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU for the same points."""

    points: int
    mine_s: float
    theirs_s: float

    @property
    def ratio(self) -> float:
        return self.theirs_s / self.mine_s


def measure(factor: float) -> Cost:
    """Gamma 3 %/2 mm of a computed dose that is a multiple of the planned one. Both results must agree."""
    planned, computed = _doses(factor, *SMALL)
    mine = gamma_index(planned, computed, OPTIONS)
    _pymedphys(_dose(planned.gy[:4, :4, :4], planned.grid), computed)  # what is compiled has been loaded
    begun = time.process_time()
    theirs = _pymedphys(planned, computed)
    taken = time.process_time() - begun
    passed = int((theirs <= 1).sum())
    assert 0 <= mine.passed - passed <= 0.01 * mine.counted, (mine.passed, passed)  # their steps miss some
    return Cost(mine.counted, _mine(planned, computed), taken)


def large(factor: float) -> Cost:
    """The same on the large grid, without pymedphys."""
    planned, computed = _doses(factor, *LARGE)
    return Cost(gamma_index(planned, computed, OPTIONS).counted, _mine(planned, computed), math.nan)


def _mine(planned: Dose, computed: Dose) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        gamma_index(planned, computed, OPTIONS)
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def _doses(factor: float, grid: Grid, half: float) -> tuple[Dose, Dose]:
    """Planned and computed."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    beam = (abs(y) < half) & (abs(z) < half)
    gy = np.where(beam & (abs(x) < half), 2.0, np.where(beam, 0.6, 0.0))
    rough = 1 + 0.01 * np.random.default_rng(1).standard_normal(grid.shape)
    return _dose(gy, grid), _dose(gy * factor * rough, grid)


def _dose(gy: NDArray[np.floating], grid: Grid) -> Dose:
    shape = (gy.shape[0], gy.shape[1], gy.shape[2])
    dose_type = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
    return Dose(Grid(shape, grid.origin, grid.spacing), gy.astype(np.float32), dose_type, None)


def _pymedphys(planned: Dose, computed: Dose) -> NDArray[np.float64]:
    top = float(planned.gy.max())
    wanted = planned.gy >= OPTIONS.cutoff_percent / 100 * top
    logging.disable(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: NDArray[np.float64] = pymedphys.gamma(
            axes_reference=planned.grid.axes(),
            dose_reference=np.where(wanted, planned.gy, -1.0).astype(np.float64),
            axes_evaluation=computed.grid.axes(),
            dose_evaluation=computed.gy.astype(np.float64),
            dose_percent_threshold=OPTIONS.dose_percent,
            distance_mm_threshold=OPTIONS.distance_mm,
            lower_percent_dose_cutoff=0.0,
            interp_fraction=10,
            max_gamma=1.1,
            global_normalisation=top,
            skip_once_passed=True,
            ram_available=2**28,
        )
    return found
