"""Merges the rows of a log to pieces: a log has thousands of rows a second, many for every step of the beam. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Indices = NDArray[np.int64]

_SHORT, _LONG = 24, 12  # pieces are shorter than these parts of a sigma
_NOISES = 3.0
_FEW = 100  # rows in which noise is not determined
_OF_MEDIAN = 1.4826  # the standard deviation of a normal distribution, in median absolute deviations
_TOGETHER = 64  # rows in which pieces are sought, beside all others of a layer at once; no piece is longer


def merged(positions: Doubles, counts: Doubles, paintings: Indices, sigma: float) -> tuple[Doubles, Doubles, Indices]:
    """Positions (m, 2) mm, counts (m,) and paintings (m,) of pieces: successive rows of one painting.

    No row of a piece is farther from its first than 1/24 of the spot's sigma, or than 3 times the noise of the
    positions up to 1/12: longer pieces would blur the MU where two lines meet. Counts and their first moments are kept.
    """
    farthest = min(max(sigma / _SHORT, _NOISES * _noise(positions)), sigma / _LONG)
    return merged_within(positions, counts, paintings, farthest)


def merged_within(
    positions: Doubles, counts: Doubles, paintings: Indices, farthest: float
) -> tuple[Doubles, Doubles, Indices]:
    """The same, of pieces in which no row is more than `farthest` mm from the first."""
    start = np.flatnonzero(_begins(positions, paintings, farthest))
    total = np.add.reduceat(counts, start)
    moments = [np.add.reduceat(positions[:, axis] * counts, start) for axis in (0, 1)]
    lit = total > 0
    return np.stack([one[lit] / total[lit] for one in moments], axis=1), total[lit], paintings[start][lit]


def _noise(positions: Doubles) -> float:
    """Standard deviation of a row's noise along one axis in mm, from second differences: the beam moves evenly."""
    if len(positions) < _FEW:
        return 0.0
    found = [float(np.median(np.abs(np.diff(positions[:, axis], n=2)))) for axis in (0, 1)]
    return _OF_MEDIAN * max(found) / 6**0.5


def _begins(positions: Doubles, paintings: Indices, farthest: float) -> NDArray[np.bool_]:
    """(n,): whether a row begins a piece.

    By displacement, not by the length of the way, to which noise adds in every row. The rows are laid out in columns
    of 64, which are searched side by side; each column begins a piece.
    """
    count = len(positions)
    columns = -(-count // _TOGETHER)
    x, y, painting = (_laid_out(values, columns) for values in (positions[:, 0], positions[:, 1], paintings))
    begins = np.ones((_TOGETHER, columns), dtype=np.bool_)
    first_x, first_y = x[0].copy(), y[0].copy()
    for row in range(1, _TOGETHER):
        far = (x[row] - first_x) ** 2 + (y[row] - first_y) ** 2 > farthest**2
        far |= painting[row] != painting[row - 1]
        begins[row] = far
        np.copyto(first_x, x[row], where=far)
        np.copyto(first_y, y[row], where=far)
    found: NDArray[np.bool_] = begins.T.reshape(-1)[:count]
    return found


def _laid_out(values: NDArray[np.generic], columns: int) -> NDArray[np.float64]:
    """(64, columns): values one below the other, the last repeated."""
    padded = np.pad(values.astype(np.float64), (0, columns * _TOGETHER - len(values)), mode="edge")
    return padded.reshape(columns, _TOGETHER).T.copy()
