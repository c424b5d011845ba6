"""Gamma for the report: several criteria for plan and beams, with mean, maximum and distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Dose
from mqi_communicator.report.options import Criterion
from mqi_communicator.results.gamma import GammaResult, Limits, gamma_index
from mqi_communicator.results.options import GammaOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

CEILING = 2.0  # gamma is searched no further


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


def plan_gamma(
    planned: Dose | None, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> tuple[list[GammaRow], NDArray[np.float32], NDArray[np.float32] | None]:
    """Rows, the values for the histogram, and gamma on the planned grid."""
    if planned is None:
        return [], np.empty(0, dtype=np.float32), None
    rows, found = _rows("plan", planned, computed, options, criteria)
    return rows, found.gamma[np.isfinite(found.gamma)], found.gamma


def beam_gamma(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> list[GammaRow]:
    """The rows of one beam."""
    return _rows(scope, planned, computed, options, criteria)[0]


def _rows(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> tuple[list[GammaRow], GammaResult]:
    deciding = Criterion(options.dose_percent, options.distance_mm, local=False)
    others = [criterion for criterion in criteria if criterion != deciding]
    also = [Limits(one.dose_percent, one.distance_mm, one.local) for one in others]
    found = gamma_index(planned, computed, options, ceiling=CEILING, also=also)
    values = found.gamma[np.isfinite(found.gamma)]
    some = values.size > 0
    first = GammaRow(
        scope=scope,
        criterion=deciding,
        deciding=True,
        counted=found.counted,
        percent=found.percent,
        mean=float(values.mean(dtype=np.float64)) if some else None,
        highest=float(values.max()) if some else None,
    )
    rest = [
        GammaRow(
            scope, one, deciding=False, counted=found.counted, percent=found.share(passed), mean=None, highest=None
        )
        for one, passed in zip(others, found.also_passed, strict=True)
    ]
    return [first, *rest], found
