"""An engine's conversion from HU to stopping ratios, and back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dose.stopping import Ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

FIRST, LAST = -1024, 3071  # HU of a CT of 12 bits


class Conversion:
    """The ratio of each whole HU, as the engine computes it."""

    def __init__(self, ratio: Ratio) -> None:
        hu = np.arange(FIRST, LAST + 1, dtype=np.float32)
        self._known = ratio(hu)
        self._estimate = np.where(np.isnan(self._known), np.maximum(0.0, 1 + hu / 1000), self._known)

    def nearest(self, target: float) -> tuple[int, float]:
        """The HU whose ratio is nearest to the target, and that ratio; NaN if target or conversion is unknown."""
        distance = np.abs(self._known - target)
        if np.isnan(distance).all():
            return 0, float("nan")
        at = int(np.nanargmin(distance))
        return FIRST + at, float(self._known[at])

    def estimate(self, hu: NDArray[np.float32]) -> Doubles:
        """The ratio of these HU, rounded. Where the engine's is not known: 1 + HU / 1000, which is not too low."""
        return np.asarray(self._estimate[self._index(hu)])

    def count(self, hu: NDArray[np.float32]) -> NDArray[np.int64]:
        """How often each HU occurs; HU beyond the first and last count there."""
        return np.bincount(self._index(hu).ravel(), minlength=len(self._known))

    def mean(self, counts: NDArray[np.int64]) -> float:
        """The mean estimated ratio of voxels that were counted; NaN without any."""
        total = counts.sum()
        return float(counts @ self._estimate / total) if total else float("nan")

    def _index(self, hu: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.clip(np.rint(hu), FIRST, LAST).astype(np.int64) - FIRST
