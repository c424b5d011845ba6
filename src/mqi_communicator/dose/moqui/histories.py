"""The number of protons that one run of a beam simulates, and the factor on its dose that follows.

moqui gives each spot floor(weight x ratio / ParticlesPerHistory) histories, computed in single precision, and
multiplies the dose by ParticlesPerHistory again. A spot below one history is lost silently, and of every other the
fraction is cut off. So ParticlesPerHistory is chosen such that each spot gets at least one history and the mean
spot a hundred, and what is cut off in all, half a history per spot, is restored by a factor on the dose. A piece of a
line gets at least 20: what is cut off of one piece is cut off of all pieces of its line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam
from mqi_communicator.dose.moqui.beamfile import BeamFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEAN = 100  # histories of a mean spot, at least: what is cut off is then 0.5 %
_LEAST = 1.001  # histories of the weakest spot, at least; a little more than one, for single precision
_LEAST_OF_LINE = 20.02  # of the weakest piece of a line: all its pieces lose the same fraction, then at most 5 %
_LARGEST_COUNT = 2**31 - 1
_BATCHES = 10  # of one run: enough to show progress, and few enough to fit the last 4 kB of a log


@dataclass(frozen=True, slots=True)
class HistoriesRequest:
    """Histories of one run: the configured number, and the most to which it is raised for weak spots."""

    histories: int
    most: int
    per_batch: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What is requested of one run of a beam."""

    particles_per_history: float  # as the program reads it; 1 where counts are sent
    histories: int  # in all
    exact: bool  # whether the program must report exactly this number
    batch: int  # histories per batch
    factor: float  # on the dose, so that the beam's protons are those of its monitor units
    counts_per_mu: float = 0.0  # where counts are sent


def sent_weights(beam: Beam, protons_per_mu: float | None) -> list[NDArray[np.float32]]:
    """Each layer's spot weights as they are sent: MU, or protons where the site declares protons per MU."""
    scale = beam.mu_per_weight * (protons_per_mu or 1.0)
    return [(layer.weights * scale).astype(np.float32) for layer in beam.layers]


def quota_by_ratio(beam: Beam, model: BeamFile, protons_per_mu: float | None, request: HistoriesRequest) -> Quota:
    """ParticlesPerHistory for spots taken from the plan. DicomProblem, naming the weakest spot, if it gets none."""
    protons = [
        weights * _ratio(model, layer.energy)
        for layer, weights in zip(beam.layers, sent_weights(beam, protons_per_mu), strict=True)
    ]
    used = [spots[spots > 0] for spots in protons]
    total = float(sum(spots.sum(dtype=np.float64) for spots in used))
    per_history = np.float32(f"{total / _needed(beam, used, total, request):.6g}")
    histories = sum(int(np.floor(spots / per_history).sum(dtype=np.float64)) for spots in used)
    return Quota(
        particles_per_history=float(per_history),
        histories=histories,
        exact=True,
        batch=_batch(histories, request),
        factor=total / (histories * float(per_history)),
    )


def quota_by_counts(
    beam: Beam, protons_per_mu: float | None, request: HistoriesRequest, counts_per_mu: float | None = None
) -> Quota:
    """Counts per MU for spots sent as lists of whole counts.

    Each count is one history before the program's own factors; if `counts_per_mu` is given, as in machine logs, the
    program converts them to histories. Without declared protons per MU the dose is relative: that of
    one proton per MU. DicomProblem if a spot has no count, or more than the program can read.
    """
    used = [mu[mu > 0] for mu in (layer.weights * beam.mu_per_weight for layer in beam.layers)]
    total = float(sum(mu.sum() for mu in used))
    needed = _needed(beam, used, total, request)
    per_mu = counts_per_mu or needed / total
    _check_counts(beam, used, per_mu)
    return Quota(
        particles_per_history=1.0,
        histories=math.ceil(needed),
        exact=False,
        batch=_batch(needed, request),
        factor=(protons_per_mu or 1.0) / per_mu,
        counts_per_mu=per_mu,
    )


def _needed(beam: Beam, used: Sequence[NDArray[np.floating[Any]]], total: float, request: HistoriesRequest) -> float:
    """Histories that the beam needs, at least the configured number. DicomProblem if they are too many."""
    spots = sum(len(one) for one in used)
    least = [_LEAST_OF_LINE if layer.cut else _LEAST for layer in beam.layers]
    each = [float(enough * total / one.min()) for enough, one in zip(least, used, strict=True)]
    needed = max(float(request.histories), float(_MEAN * spots), *each)
    if needed <= request.most:
        return needed
    index = each.index(max(each))
    layer, weakest = beam.layers[index], float(used[index].min())
    what, count = ("piece of a line", "20 histories") if layer.cut else ("spot", "one history")
    raise DicomProblem(
        f"beam {beam.number}, layer {index + 1} ({layer.energy:g} MeV): its weakest {what} has {weakest / total:.2g} "
        f"of the beam's protons; to give it {count} and the mean spot {_MEAN}, each run needs {needed:.3g} histories, "
        f"more than {request.most:.3g}",
        "raise engine.max_histories_per_beam, or remove spots of negligible weight from the plan",
        code="dose.histories",
    )


def _check_counts(beam: Beam, used: Sequence[NDArray[np.floating[Any]]], per_mu: float) -> None:
    least = min(float(one.min()) for one in used) * per_mu
    most = max(float(one.max()) for one in used) * per_mu
    if least < 1 or most > _LARGEST_COUNT:
        raise DicomProblem(
            f"beam {beam.number}: its spots would have {least:.3g} to {most:.3g} counts, expected 1 to "
            f"{_LARGEST_COUNT}",
            "correct counts_per_mu of the machine",
            code="dose.histories",
        )


def _batch(histories: float, request: HistoriesRequest) -> int:
    return max(1, min(request.per_batch, math.ceil(histories / _BATCHES)))


def _ratio(model: BeamFile, energy: float) -> np.float32:
    """The ratio at a nominal energy, linear between rows, in single precision as the program has it."""
    xs, ys = np.array(model.energies, np.float32), np.array(model.ratios, np.float32)
    at = np.float32(energy)
    upper = int(np.searchsorted(xs, at))
    x0, x1, y0, y1 = xs[upper - 1], xs[upper], ys[upper - 1], ys[upper]
    return np.float32(y0 + (at - x0) * (y1 - y0) / (x1 - x0))
