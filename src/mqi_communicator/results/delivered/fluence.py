"""Fluence of a layer in the isocentre plane: each spot a Gaussian of the planned size. Pure, and free of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.treatment.joined import JoinedLayer

    Doubles = NDArray[np.float64]

FWHM = 2.3548200450309493  # of a Gaussian, in sigmas
_STEP = 0.25  # sigmas between points
_MARGIN = 3.0  # sigmas around the spots
_MOST = 400  # points along an axis


def fluence_difference(layer: JoinedLayer) -> float | None:
    """The largest difference of delivered and planned fluence in % of the planned maximum; None without a size."""
    if layer.size is None or not layer.mu.any():
        return None
    sigmas = (layer.size[0] / FWHM, layer.size[1] / FWHM)
    points = np.concatenate([layer.spots, layer.recorded])
    axes = [_axis(points[:, axis], sigmas[axis]) for axis in (0, 1)]
    planned = _fluence(layer.spots, layer.mu, axes, sigmas)
    delivered = _fluence(layer.recorded, layer.recorded_mu, axes, sigmas)
    return float(100 * np.abs(delivered - planned).max() / planned.max())


def _axis(coordinates: Doubles, sigma: float) -> Doubles:
    low, high = coordinates.min() - _MARGIN * sigma, coordinates.max() + _MARGIN * sigma
    count = min(_MOST, int((high - low) / (_STEP * sigma)) + 2)
    return np.linspace(low, high, count)


def _fluence(spots: Doubles, mu: Doubles, axes: list[Doubles], sigmas: tuple[float, float]) -> Doubles:
    """(ny, nx): the sum of the spots' Gaussians, each of height MU."""
    along = [np.exp(-0.5 * ((axes[i][np.newaxis] - spots[:, i, np.newaxis]) / sigmas[i]) ** 2) for i in (0, 1)]
    found: Doubles = (along[1] * mu[:, np.newaxis]).T @ along[0]
    return found
