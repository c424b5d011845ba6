"""Gamma for the report: several criteria for plan and beams, with mean, maximum and distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose
from mqi_communicator.report.options import Criterion
from mqi_communicator.report.volumes import FAILS, PASSES, GammaMap
from mqi_communicator.results.gamma import Limits, counted_part, gamma_index, thinned
from mqi_communicator.results.options import GammaOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

CEILING = 2.0  # gamma is searched no further
MOST_MAPPED = 60_000  # points of the viewer's gamma; of more, only whether it is at most 1: 264 000 values take 2 s
MOST_VALUES = 20_000  # points of one scope whose gamma is computed; the verdict counts all points


@dataclass(frozen=True, slots=True)
class GammaRow:
    """Gamma of one scope at one criterion."""

    scope: str
    criterion: Criterion
    deciding: bool
    counted: int  # points at or above the cut-off
    percent: float
    mean: float | None  # None if only gamma <= 1 was evaluated
    highest: float | None  # CEILING: that or more
    values: int = 0  # points that were evaluated

    @property
    def sampled(self) -> bool:
        """Whether percent, mean and maximum are those of a part of the points."""
        return 0 < self.values < self.counted


def plan_gamma(
    planned: Dose | None, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> tuple[list[GammaRow], NDArray[np.float32]]:
    """Rows, and the values for the histogram."""
    if planned is None:
        return [], np.empty(0, dtype=np.float32)
    return _rows("plan", planned, computed, options, criteria)


def beam_gamma(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> list[GammaRow]:
    """The rows of one beam."""
    return _rows(scope, planned, computed, options, criteria)[0]


def gamma_map(planned: Dose, computed: Dose, options: GammaOptions) -> GammaMap:
    """Gamma of every counted point of the plan, at the deciding criterion."""
    part, top = counted_part(planned, options)
    exact = thinned(part, options, MOST_MAPPED, top)[1] <= MOST_MAPPED
    found = gamma_index(part, computed, options, ceiling=CEILING if exact else None, top=top).gamma
    if not exact:
        found = np.where(np.isnan(found), found, np.where(found <= 1, PASSES, FAILS)).astype(np.float32)
    return GammaMap(part.grid, found, exact)


def values_of(part: Dose, computed: Dose, options: GammaOptions, top: float) -> NDArray[np.float32]:
    """Gamma on a part of the planned dose, whose maximum is `top` Gy."""
    return gamma_index(part, computed, options, ceiling=CEILING, top=top).gamma


def _rows(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> tuple[list[GammaRow], NDArray[np.float32]]:
    """Rows, and the values that were computed: of all points, or of an even sample of many."""
    deciding = Criterion(options.dose_percent, options.distance_mm, local=False)
    others = [criterion for criterion in criteria if criterion != deciding]
    also = [Limits(one.dose_percent, one.distance_mm, one.local) for one in others]
    part, top = counted_part(planned, options)
    some, counted = thinned(part, options, MOST_VALUES, top)
    found = gamma_index(some, computed, options, ceiling=CEILING, also=also, top=top)
    values = found.gamma[np.isfinite(found.gamma)]
    known = values.size > 0
    first = GammaRow(
        scope=scope,
        criterion=deciding,
        deciding=True,
        counted=counted,
        percent=found.percent,
        mean=float(values.mean(dtype=np.float64)) if known else None,
        highest=float(values.max()) if known else None,
        values=found.counted,
    )
    rest = [
        GammaRow(scope, one, deciding=False, counted=counted, percent=found.share(passed), mean=None, highest=None)
        for one, passed in zip(others, found.also_passed, strict=True)
    ]
    return [first, *rest], values
