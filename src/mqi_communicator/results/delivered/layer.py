"""The numbers of one layer: delivered against planned. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.results.delivered.fluence import fluence_difference
from mqi_communicator.treatment.joined import Pairing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.treatment.joined import JoinedLayer

    Doubles = NDArray[np.float64]

_ECHO_MM = 0.0101  # in x and in y, of positions and sizes: no detector repeats so well; a plan rounded to 0.01 mm does
_BETWEEN = 0.1  # of a part's MU: of a line that is missing, the log has some of its neighbours'
_ECHO_MU = (1e-4, 1e-5)  # of MU: relative, and MU
_ROUNDED = (2, 3, 4)  # decimals to which a record may round the plan's MU


@dataclass(frozen=True, slots=True)
class LayerNumbers:
    """One layer. Spots are those of the plan with MU; offsets and sizes those of recorded spots with a partner."""

    index: int  # from 0
    energy: float  # MeV
    planned: Doubles  # (n,) MU
    delivered: Doubles  # (n,) MU, sum of all recorded spots with this partner
    hit: NDArray[np.bool_]  # (n,) whether any MU of it are recorded
    repeated: int  # spots with more MU than planned because they are recorded more than once
    extra: float  # MU without a partner
    mean_offset: float  # mm, length of the mean offset weighted by MU
    worst_offset: float  # mm
    size_error: float | None  # %, mean over the spots and both axes; None if not recorded or not planned
    fluence: float | None  # %, largest difference of fluence, of the layer's planned maximum; None without a size
    echoes: tuple[bool, bool, bool]  # whether positions, MU and sizes equal the plan in every spot

    @property
    def total(self) -> float:
        """All recorded MU."""
        return float(self.delivered.sum()) + self.extra

    def mu_error(self, least: float) -> float:
        """Recorded against planned MU in %; 0 if they differ by at most `least` MU, as by a test pulse."""
        planned = float(self.planned.sum())
        return 100 * (self.total / planned - 1) if abs(self.total - planned) > least else 0.0


def numbers_of(layer: JoinedLayer) -> LayerNumbers:
    """Compare the recorded spots of a layer with the plan."""
    paired = layer.partner >= 0
    partner, mu = layer.partner[paired], layer.recorded_mu[paired]
    count = len(layer.mu)
    delivered = layer.delivered
    times = np.bincount(partner, minlength=count)
    meant = layer.mu > 0
    least = _BETWEEN * layer.mu if layer.pairing is Pairing.WAY else np.zeros(count)
    offsets = layer.offsets[paired]
    lengths = np.hypot(offsets[:, 0], offsets[:, 1])[mu > 0]
    farthest = np.abs(offsets[mu > 0]).max(initial=0.0)
    weight = float(mu.sum())
    mean = (offsets * mu[:, np.newaxis]).sum(axis=0) / weight if weight > 0 else np.zeros(2)
    size_error, size_echo = _sizes(layer, paired)
    return LayerNumbers(
        index=layer.index,
        energy=layer.energy,
        planned=layer.mu[meant],
        delivered=delivered[meant],
        hit=(delivered > least)[meant],
        repeated=int(((times > 1) & (delivered > 1.5 * layer.mu)).sum()) if layer.pairing is not Pairing.WAY else 0,
        extra=float(layer.recorded_mu[~paired].sum()) + float(delivered[~meant].sum()),
        mean_offset=float(np.hypot(*mean)),
        worst_offset=float(lengths.max()) if lengths.size else 0.0,
        size_error=size_error,
        fluence=fluence_difference(layer),
        echoes=(bool(farthest <= _ECHO_MM), _repeats(delivered, layer.mu), size_echo),
    )


def _repeats(delivered: Doubles, planned: Doubles) -> bool:
    """Whether the MU of every spot are the planned ones, or these rounded."""
    least = np.maximum(_ECHO_MU[0] * planned, _ECHO_MU[1])
    return any((np.abs(delivered - one) <= least).all() for one in (planned, *(planned.round(n) for n in _ROUNDED)))


def _sizes(layer: JoinedLayer, paired: NDArray[np.bool_]) -> tuple[float | None, bool]:
    """Mean difference of the recorded sizes from the planned one in %; and whether all are equal."""
    found = layer.recorded_sizes[paired]
    known = np.isfinite(found).all(axis=1)
    if layer.size is None or not known.any():
        return None, False
    planned = np.asarray(layer.size)
    error = 100 * (found[known].mean(axis=0) / planned - 1)
    worst = float(error[np.abs(error).argmax()])
    return worst, bool((np.abs(found[known] - planned) <= _ECHO_MM).all())
