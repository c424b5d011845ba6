"""Lists of spots for builds of moqui that do not read spots from the plan.

`<folder>/<beam>/<layer>_<energy>MeV.csv`, one line without an end: t,x,y,counts,t,x,y,counts,... The program takes the
N-th folder in the order of names for beam N, so that there is a folder for every number; the energy from the file's
name; whole counts only. It also opens the lists for writing, and never ends if that is not permitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Beam
from mqi_communicator.dose.moqui.inputs import SPOT_LISTS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def spot_lists(beams: Sequence[tuple[Beam, float]]) -> dict[str, bytes]:
    """The lists of all beams by path in common/; each beam comes with its counts per MU."""
    highest = max(beam.number for beam, _ in beams)
    width = len(str(highest))
    files = {f"{SPOT_LISTS}/{number:0{width}}/none.txt": b"no beam\n" for number in range(1, highest + 1)}
    for beam, counts_per_mu in beams:
        folder = f"{SPOT_LISTS}/{beam.number:0{width}}"
        del files[f"{folder}/none.txt"]
        places = len(str(len(beam.layers)))
        for index, layer in enumerate(beam.layers, start=1):
            used = layer.weights > 0
            counts = _counts(layer.weights[used] * beam.mu_per_weight * counts_per_mu)
            energy = f"{layer.energy:.2f}" if round(layer.energy, 2) == layer.energy else f"{layer.energy:.4f}"
            name = f"{folder}/{index:0{max(places, 2)}}_{energy}MeV.csv"
            files[name] = _line(layer.spots[used], counts)
    return files


def _counts(counts: NDArray[np.float64]) -> list[int]:
    return [int(count) for count in np.rint(counts)]


def _line(spots: NDArray[np.float64], counts: Sequence[int]) -> bytes:
    rows = (f"{t},{x:.4f},{y:.4f},{n}" for t, ((x, y), n) in enumerate(zip(spots.tolist(), counts, strict=True)))
    return ",".join(rows).encode("ascii")
