"""Fluence of a layer in the isocentre plane: each spot a Gaussian of the planned size. Pure, and free of noise.

A log has many thousands of spots. Each is interpolated on the points of a grid (cubic, 4 x 4 points), which keeps the
sum of its Gaussian to 0.03 % of its height; the grid is then convolved with the Gaussian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import FWHM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.treatment.joined import JoinedLayer

    Doubles = NDArray[np.float64]

_STEP = 0.25  # sigmas between points
_MARGIN = 3.0  # sigmas around the spots
_MOST = 400  # points along an axis where fluences are compared


def fluence_difference(layer: JoinedLayer) -> float | None:
    """The largest difference of delivered and planned fluence in % of the planned maximum; None without a size."""
    if layer.size is None or not layer.mu.any():
        return None
    points = np.concatenate([layer.spots, layer.recorded])
    sigmas = (layer.size[0] / FWHM, layer.size[1] / FWHM)
    axes = [_axis(points[:, axis], sigmas[axis]) for axis in (0, 1)]
    across, down = (_gaussians(axis, sigma) for axis, sigma in zip(axes, sigmas, strict=True))
    planned = _on_grid(layer.spots, layer.mu, axes)
    difference = _on_grid(layer.recorded, layer.recorded_mu, axes) - planned
    return float(100 * np.abs(down @ difference @ across.T).max() / (down @ planned @ across.T).max())


def _axis(coordinates: Doubles, sigma: float) -> Doubles:
    low, high = coordinates.min() - _MARGIN * sigma, coordinates.max() + _MARGIN * sigma
    return np.linspace(low, high, int((high - low) / (_STEP * sigma)) + 2)


def _gaussians(axis: Doubles, sigma: float) -> Doubles:
    """(points to compare, grid): the Gaussian of each grid point at each of at most 400 points."""
    at = axis if len(axis) <= _MOST else np.linspace(axis[0], axis[-1], _MOST)
    found: Doubles = np.exp(-0.5 * ((at[:, np.newaxis] - axis) / sigma) ** 2)
    return found


def _on_grid(spots: Doubles, mu: Doubles, axes: list[Doubles]) -> Doubles:
    """(ny, nx): the MU of the spots, interpolated on the points of the grid."""
    shape = (len(axes[1]), len(axes[0]))
    (x, across), (y, down) = (_cubic(spots[:, i], axes[i]) for i in (0, 1))
    found = np.zeros(shape[0] * shape[1])
    for j, of_row in enumerate(down):
        row, weight = (y + j) * shape[1] + x, of_row * mu
        for i, of_column in enumerate(across):
            found += np.bincount(row + i, weights=weight * of_column, minlength=found.size)
    return found.reshape(shape)


def _cubic(coordinates: Doubles, axis: Doubles) -> tuple[NDArray[np.int64], tuple[Doubles, ...]]:
    """The first of four points around each coordinate, and Lagrange's weights of these points."""
    place = (coordinates - axis[0]) / (axis[1] - axis[0])
    first = place.astype(np.int64)
    t = place - first
    return first - 1, (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
