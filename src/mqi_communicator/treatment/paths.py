"""Compares a continuous log of a layer with the way that the plan prescribes. Pure.

The planned way is cut into parts: a spot, or at most 5 mm of a line. A log has no indices, so its place on the way is
taken from the MU delivered so far, in the painting it belongs to, and from there the nearest point of the way: ways
that cross or turn back are then not mistaken for one another. The MU of a part are those recorded while the beam was on
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import LayerKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.dicom.records import Layer

    Doubles = NDArray[np.float64]
    Indices = NDArray[np.int64]

LONGEST = 5.0  # mm of a line that are one part
_WINDOW = 6  # parts before and after the expected one
_WHOLE = 0.9  # of a painting's MU: with less it was interrupted
_FARTHEST = 10.0  # mm: what is farther from the expected part of the way has no partner


@dataclass(frozen=True, slots=True)
class ScanPath:
    """The parts of a layer in the order of delivery. A spot begins where it ends."""

    begin: Doubles  # (n, 2) mm
    end: Doubles  # (n, 2) mm
    weights: Doubles  # (n,) of the plan

    @property
    def centres(self) -> Doubles:
        """(n, 2) mm."""
        found: Doubles = (self.begin + self.end) / 2
        return found


def way_of(layer: Layer) -> ScanPath:
    """The parts of a planned layer that have weight."""
    if layer.kind is LayerKind.SPOTS:
        on = layer.weights > 0
        return ScanPath(layer.spots[on], layer.spots[on], layer.weights[on])
    lines = np.flatnonzero(layer.weights > 0)
    start, stop = layer.spots[lines - 1], layer.spots[lines]
    counts = np.maximum(np.ceil(np.hypot(*(stop - start).T) / LONGEST).astype(np.int64), 1)
    line = np.repeat(np.arange(len(lines)), counts)
    within = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    step = (stop - start)[line] / counts[line, np.newaxis]
    begin = start[line] + within[:, np.newaxis] * step
    return ScanPath(begin, begin + step, layer.weights[lines][line] / counts[line])


@dataclass(frozen=True, slots=True)
class Log:
    """Pieces of a continuous log in the order of time."""

    positions: Doubles  # (m, 2) mm
    mu: Doubles  # (m,)
    paintings: Indices  # (m,)


def along(way: ScanPath, log: Log, wanted: float, *, resumed: bool) -> tuple[Indices, Doubles, Doubles]:
    """Compare a log with the way. `wanted`: MU of one painting; `resumed`: a partial painting is its end.

    Returns for each piece its part (-1: none) and its offset (x, y mm) from the nearest point of it, and for each part
    the MU delivered on it.
    """
    partner = np.full(len(log.mu), -1, dtype=np.int64)
    offsets = np.full((len(log.mu), 2), np.nan)
    delivered = np.zeros(len(way.weights))
    planned = np.cumsum(way.weights) / float(way.weights.sum())
    for painting in np.flatnonzero(np.bincount(log.paintings)):
        mine = np.flatnonzero(log.paintings == painting)
        done = np.cumsum(log.mu[mine])
        middle = done - log.mu[mine] / 2
        if done[-1] >= _WHOLE * wanted:
            share = middle / done[-1]
        else:
            share = (wanted - done[-1] + middle if resumed else middle) / wanted
        expected = np.minimum(np.searchsorted(planned, share), len(planned) - 1)
        part, offset, place = _nearest(way, log.positions[mine], expected)
        near = np.hypot(offset[:, 0], offset[:, 1]) <= _FARTHEST
        partner[mine[near]], offsets[mine[near]] = part[near], offset[near]
        if near.any():
            delivered += _by_part(way, part[near], place[near], log.mu[mine][near])
    return partner, offsets, delivered


def _nearest(way: ScanPath, positions: Doubles, expected: Indices) -> tuple[Indices, Doubles, Doubles]:
    """The nearest part among those around the expected one, the offset from it, and where on it (0 to 1)."""
    best = np.zeros(len(positions), dtype=np.int64)
    least = np.full(len(positions), np.inf)
    for shift in range(-_WINDOW, _WINDOW + 1):
        part = np.clip(expected + shift, 0, len(way.weights) - 1)
        (x, y), _ = _from_part(way, positions, part)
        distance = x * x + y * y
        nearer = distance < least
        best, least = np.where(nearer, part, best), np.where(nearer, distance, least)
    offset, share = _from_part(way, positions, best)
    return best, np.stack(offset, axis=1), share


def _from_part(way: ScanPath, positions: Doubles, part: Indices) -> tuple[tuple[Doubles, Doubles], Doubles]:
    """The offset (x, y) of each position from the nearest point of its part, and where on the part this is (0 to 1)."""
    begin, step = way.begin, way.end - way.begin
    length = np.maximum((step**2).sum(axis=1), 1e-12)
    along_x, along_y = step[:, 0][part], step[:, 1][part]
    x, y = positions[:, 0] - begin[:, 0][part], positions[:, 1] - begin[:, 1][part]
    share = np.clip((x * along_x + y * along_y) / length[part], 0.0, 1.0)
    return (x - share * along_x, y - share * along_y), share


def _by_part(way: ScanPath, part: Indices, share: Doubles, mu: Doubles) -> Doubles:
    """(n,): the MU on each part. On lines a piece is delivered evenly from the middle between it and the one before."""
    count = len(way.weights)
    if not ((way.end - way.begin) ** 2).any():
        return np.bincount(part, weights=mu, minlength=count).astype(np.float64)
    place = np.maximum.accumulate(part + share)
    middles = (place[1:] + place[:-1]) / 2
    first, last = 2 * place[:1] - middles[:1], 2 * place[-1:] - middles[-1:]  # empty for one piece
    first, last = (first, last) if middles.size else (place, place)
    knots = np.concatenate([np.maximum(first, 0.0), middles, np.minimum(last, count)])
    done = np.concatenate([[0.0], np.cumsum(mu)])
    ends = np.interp(np.arange(count + 1, dtype=np.float64), knots, done)
    ends[0], ends[-1] = 0.0, done[-1]
    found: Doubles = np.diff(ends)
    return found
