"""Assigns recorded spots to the spots of a layer of the plan. Pure.

Indices are those of the standard, from 0 (PS3.3 C.8.8.26.2), or of systems that count from 1 and use 0 for test
pulses. Which of the two is seen from the positions, once for a beam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.treatment.joined import Pairing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.dicom.recorded import RecordedLayer
    from mqi_communicator.dicom.records import Layer

    Indices = NDArray[np.int64]

_BASES = (0, 1)
_FARTHEST = 5.0  # mm: a spot farther from every planned one has no partner
_MOST_DISTANCES = 4_000_000  # numbers in memory at once


def index_base(pairs: Sequence[tuple[RecordedLayer, Layer]]) -> int | None:
    """Whether the indices of a beam begin at 0 or at 1: where recorded and planned positions agree best.

    None if the indices fit the plan's spots neither way, or none of them is that of a spot. 0 if there are no indices.
    """
    found = [(distance, base) for base in _BASES if (distance := _distance(pairs, base)) is not None]
    return min(found)[1] if found else None


def partners_of(recorded: RecordedLayer, planned: Layer, base: int) -> tuple[Indices, Pairing]:
    """(m,): the index of the planned spot of each recorded one, -1 for none; and by what it was found."""
    if recorded.indices is not None:
        return np.maximum(recorded.indices - base, -1), Pairing.INDICES
    if recorded.in_order and len(recorded.mu) == len(planned.weights):
        return np.arange(len(recorded.mu), dtype=np.int64), Pairing.ORDER
    return _nearest(recorded, planned), Pairing.NEAREST


def _distance(pairs: Sequence[tuple[RecordedLayer, Layer]], base: int) -> float | None:
    """Median distance in mm between recorded and planned spots, rounded; 0 if there are no indices.

    None if an index is beyond the layer, or if there are indices and none has a spot.
    """
    distances = [np.zeros(0)]
    indexed = False
    for recorded, planned in pairs:
        if recorded.indices is None:
            continue
        indexed = True
        partner = recorded.indices - base
        if (partner >= len(planned.weights)).any():
            return None
        paired = partner >= 0
        distances.append(np.linalg.norm(recorded.positions[paired] - planned.spots[partner[paired]], axis=1))
    together = np.concatenate(distances)
    if together.size:
        return round(float(np.median(together)), 2)
    return None if indexed else 0.0


def _nearest(recorded: RecordedLayer, planned: Layer) -> Indices:
    """The nearest planned spot of each recorded one, if it is near."""
    rows = max(1, _MOST_DISTANCES // max(len(planned.spots), 1))
    parts = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(recorded.positions), rows):
        here = recorded.positions[start : start + rows, np.newaxis]
        distances = np.linalg.norm(here - planned.spots[np.newaxis], axis=2)
        best = distances.argmin(axis=1)
        parts.append(np.where(distances.min(axis=1) <= _FARTHEST, best, -1))
    return np.concatenate(parts)
