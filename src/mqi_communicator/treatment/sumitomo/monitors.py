"""Compares the two monitors of a machine, which count the same beam: their ratio is constant. Pure.

Within a layer it is compared in parts of 0.01 MU, below which the error of a spot is not judged either. Where the
counts of single rows are so noisy that 6 standard errors of a part are more than the limit, the parts are longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.treatment.sumitomo.layer_files import Samples
    from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

    Doubles = NDArray[np.float64]

_LEAST_MU = 0.01  # of a part
_SURE = 6.0  # standard errors: beyond this noise is not the reason in any of a million parts
_TOGETHER = 16  # rows
_OF_MEDIAN = 1.4826  # the standard deviation of a normal distribution, in median absolute deviations


@dataclass(frozen=True, slots=True)
class Deviation:
    """The part of a layer where the monitors differ most from the rest of it."""

    before: float  # counts before it, as the first monitor counts: the mean of both
    counts: float  # in it
    ratio: float  # of the second monitor to the first in it
    expected: float  # in the layer
    parts: int  # how many parts differ


def wrong_ratio(ratios: Mapping[int, float], percent: float) -> str:
    """What is wrong with the ratios of the second monitor to the first, by number of the layer; "" if nothing."""
    middle = float(np.median(list(ratios.values())))
    if not middle > 0:
        return "the second monitor has no counts"
    apart = [number for number, ratio in ratios.items() if abs(ratio - middle) > percent / 100 * middle]
    if not apart:
        return ""
    more = f" ({len(apart) - 1} more layers)" if len(apart) > 1 else ""
    return (
        f"layer {apart[0]}: the second monitor has {ratios[apart[0]]:.3f} of the first{more}, expected {middle:.3f} "
        f"within {percent:g} % as in the other layers"
    )


def wrong_part(samples: Samples, steps: tuple[float, float], options: SumitomoOptions) -> str:
    """What is wrong with the ratio of the monitors within a layer; "" if nothing. `steps`: of both counts."""
    least, limit = _LEAST_MU * options.counts_per_mu, options.monitors_percent / 100
    found = deviation(samples.counts, samples.second, steps, least, limit)
    if found is None:
        return ""
    more = f" ({found.parts - 1} more parts)" if found.parts > 1 else ""
    mu, before = found.counts / options.counts_per_mu, found.before / options.counts_per_mu
    return (
        f"after {before:.3f} MU, for {mu:.3f} MU, the second monitor has {found.ratio:.3f} of the first{more}, "
        f"expected {found.expected:.3f} within {options.monitors_percent:g} % as in the rest of the layer"
    )


def deviation(
    first: Doubles, second: Doubles, steps: tuple[float, float], least: float, limit: float
) -> Deviation | None:
    """The worst part of a layer in which the ratio of both monitors differs by more than `limit`; None: there is none.

    `first`, `second`: (n,) counts of each row; `steps`: of both, by which counts are rounded; `least`: counts of a
    part; `limit`: relative.
    """
    usual = _usual(first, second)
    if not usual > 0:
        return None
    own = (first + second / usual) / 2
    noise = _noise(first, second, own, usual)
    size = max(least, (_SURE * noise / (limit * usual)) ** 2)
    count = max(1, min(len(own), int(own.sum() / size)))
    done = np.cumsum(own)
    part = np.minimum(((done - own) * (count / done[-1])).astype(np.int64), count - 1)
    ones, twos, owns, rows = (
        np.bincount(part, weights=values, minlength=count) for values in (first, second, own, np.ones_like(own))
    )
    lit = ones > 0
    expected = float(np.median(twos[lit] / ones[lit]))
    rounding = rows * (steps[1] ** 2 + (expected * steps[0]) ** 2) / 12
    error = np.abs(twos - expected * ones)
    apart = error > limit * expected * owns + _SURE * np.sqrt(noise**2 * owns + rounding)
    if not apart.any():
        return None
    worst = int(np.where(apart, error / np.maximum(owns, 1e-9), 0.0).argmax())
    ratio = float(twos[worst] / ones[worst]) if ones[worst] > 0 else float("inf")
    return Deviation(float(owns[:worst].sum()), float(owns[worst]), ratio, expected, int(apart.sum()))


def _usual(first: Doubles, second: Doubles) -> float:
    """The ratio of most rows, some of them together; 0 if most have none."""
    start = np.arange(0, len(first), _TOGETHER)
    ones, twos = np.add.reduceat(first, start), np.add.reduceat(second, start)
    return float(np.median(twos[ones > 0] / ones[ones > 0]))


def _noise(first: Doubles, second: Doubles, own: Doubles, ratio: float) -> float:
    """Standard deviation of what the second monitor differs from the first, in a row with one count.

    From the differences of successive rows, so that an error that lasts for some rows does not count as noise.
    """
    lit = own > 0
    scaled = (second[lit] - ratio * first[lit]) / np.sqrt(own[lit])
    return _OF_MEDIAN * float(np.median(np.abs(np.diff(scaled)))) / 2**0.5 if lit.sum() > 1 else 0.0
