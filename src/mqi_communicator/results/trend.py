"""Statistics of the cases of one machine, and the position of one case among them. Pure.

A trend is not part of a verdict. It shows a drift within the limits, which no single case can show.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Columns = Mapping[str, tuple[str, str, int]]  # of a row: name -> what it is, unit, digits
COLUMNS: Columns = {
    "gamma": ("gamma pass rate", "%", 2),
    "dose_scale": ("dose scale", "", 4),
    "range_r80": ("range difference R80", "mm", 2),
}
OF_FRACTIONS: Columns = {
    "fraction_mu": ("fraction MU", "%", 2),
    "beam_mu": ("beam MU", "%", 2),
    "layer_position": ("layer offset", "mm", 2),
    "spot_position": ("spot offset", "mm", 2),
}
MIN_CASES = 5  # cases that are needed for a meaningful standard deviation


@dataclass(frozen=True, slots=True)
class Row:
    """One case. `range_r80` is the signed value of the beam whose range differs most."""

    case: str
    at: float  # time of the verdict, epoch seconds
    verdict: str
    gamma: float | None  # % of points of the plan
    dose_scale: float | None  # computed / planned, of the plan
    range_r80: float | None  # mm, computed minus planned


@dataclass(frozen=True, slots=True)
class FractionRow:
    """One fraction: recorded against planned. `beam_mu` is the signed value of the beam that differs most."""

    case: str
    at: float  # time of the verdict, epoch seconds
    verdict: str
    fraction_mu: float | None  # %
    beam_mu: float | None  # %
    layer_position: float | None  # mm, mean offset of the worst layer
    spot_position: float | None  # mm, offset of the worst spot


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and twice the sample's standard deviation, in the unit of the values; `two_sd` is None below two values."""

    cases: int
    mean: float | None
    two_sd: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """The cases of one machine, or its fractions, oldest first."""

    machine: str
    rows: tuple[Row, ...] | tuple[FractionRow, ...]
    columns: Columns = field(default_factory=lambda: COLUMNS)

    def spread(self, column: str) -> Spread:
        """The spread of one of the columns."""
        return spread(value for row in self.rows if (value := getattr(row, column)) is not None)


@dataclass(frozen=True, slots=True)
class TrendPosition:
    """One case, and the earlier cases of its machine."""

    own: Row
    before: Trend


def spread(values: Iterable[float]) -> Spread:
    """The spread of some values."""
    found = list(values)
    mean = statistics.fmean(found) if found else None
    return Spread(len(found), mean, 2 * statistics.stdev(found) if len(found) > 1 else None)


def largest_deviation(values: Sequence[float]) -> float | None:
    """The value with the largest magnitude, with its sign; None if there is none."""
    return max(values, key=abs, default=None)
