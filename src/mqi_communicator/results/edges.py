"""Profiles through a dose: where they are taken, and where they end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLATEAU = 0.9  # of a profile's maximum: its level is the mean above this, not one noisy voxel


def spread_over(positions: NDArray[np.float64], most: int, narrowest: float) -> NDArray[np.float64]:
    """At most `most` positions, at least `narrowest` mm apart if there are several, evenly over the extent of these
    `positions` (mm) and symmetrical about its middle."""
    low, high = float(positions.min()), float(positions.max())
    number = int(min(most, max(1, (high - low) // narrowest)))
    gap = (high - low) / number
    return np.asarray(low + gap * (np.arange(number) + 0.5))


def far_edge(profiles: NDArray[np.float64], part: float, step: float) -> NDArray[np.float64]:
    """The farthest point of each profile (n, samples) at `part` of its level, in mm from its first sample.

    `step`: mm between samples. NaN where a profile does not fall below it within what is known of the dose.
    """
    values = np.nan_to_num(profiles)
    top = values.max(axis=1, keepdims=True)
    plateau = (values >= _PLATEAU * top) & (top > 0)
    level = np.where(plateau, values, 0).sum(axis=1) / np.maximum(plateau.sum(axis=1), 1)
    wanted = part * level
    above = (values >= wanted[:, None]) & (level[:, None] > 0)
    last = values.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1)
    following = np.minimum(last + 1, values.shape[1] - 1)
    row = np.arange(len(values))
    here, there = values[row, last], profiles[row, following]  # NaN there: the profile leaves the grid before its edge
    ends = above.any(axis=1) & (following > last) & np.isfinite(there)
    with np.errstate(invalid="ignore", divide="ignore"):
        position = step * (last + (here - wanted) / (here - there))
    return np.where(ends, position, np.nan)
