"""Interpolates unevenly spaced slices onto an even grid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def even_positions(positions: Sequence[float]) -> NDArray[np.float64]:
    """As many evenly spaced positions, from the first to the last."""
    return np.linspace(positions[0], positions[-1], len(positions))


def evenly_spaced(positions: Sequence[float], slices: Iterable[Floats]) -> Iterator[Floats]:
    """Yield the slices at `even_positions`, each linearly between its two neighbours.

    `positions`: ascending, in mm, one of each slice. Two slices are held at a time.
    """
    wanted = [float(at) for at in even_positions(positions)]
    below = positions[0]
    values_below: Floats | None = None
    for here, values in zip(positions, slices, strict=True):
        while wanted and wanted[0] <= here:
            at = wanted.pop(0)
            if values_below is None or at == here:
                yield values
            else:
                share = np.float32((at - below) / (here - below))
                yield values_below + share * (values - values_below)
        below, values_below = here, values
