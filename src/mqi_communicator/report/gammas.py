"""Gamma as a report shows it: several criteria for the plan and for each beam, its mean, maximum and distribution.

Where there are many points it is estimated from an even, repeatable sample of them, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.records import Dose
from mqi_communicator.report.options import Criterion
from mqi_communicator.results.gamma import gamma_index
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.sight import Point, nearest, slab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CEILING = 2.0  # gamma is searched no further
_EXACT = 20_000  # points whose gamma is searched to its value
_QUICK = 100_000  # points of which only gamma <= 1 is asked


@dataclass(frozen=True, slots=True)
class GammaRow:
    """Gamma of one scope at one criterion."""

    scope: str
    criterion: Criterion
    deciding: bool
    counted: int  # points at or above the cut-off
    looked_at: int  # of them, evenly drawn
    percent: float
    mean: float | None  # None where only gamma <= 1 was asked
    highest: float | None  # CEILING means: at least that


def plan_gamma(
    planned: Dose | None,
    computed: Dose,
    options: GammaOptions,
    criteria: Sequence[Criterion],
    places: Sequence[Point],
) -> tuple[list[GammaRow], NDArray[np.float32], NDArray[np.float32] | None]:
    """Rows, the values for the histogram, and gamma on the planned grid in the planes through some places."""
    import numpy as np

    if planned is None:
        return [], np.empty(0, dtype=np.float32), None
    shown = np.zeros(planned.grid.shape, dtype=bool)
    for place in places:
        for axis, index in enumerate(nearest(planned.grid, place)):
            shown[slab(axis, index)] = True
    sample = _sample(planned, options, _EXACT)
    gamma = gamma_index(planned, computed, options, among=shown | sample, ceiling=CEILING).gamma
    values = gamma[sample]
    values = values[np.isfinite(values)]
    rows = [_exact_row("plan", options, values, _counted(planned, options))]
    rows += _quick_rows("plan", planned, computed, options, criteria)
    return rows, values, gamma


def beam_gamma(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> list[GammaRow]:
    """The rows of one beam."""
    import numpy as np

    sample = _sample(planned, options, _EXACT)
    values = gamma_index(planned, computed, options, among=sample, ceiling=CEILING).gamma[sample]
    first = _exact_row(scope, options, values[np.isfinite(values)], _counted(planned, options))
    return [first, *_quick_rows(scope, planned, computed, options, criteria)]


def _exact_row(scope: str, options: GammaOptions, values: NDArray[np.float32], counted: int) -> GammaRow:
    some = values.size > 0
    return GammaRow(
        scope=scope,
        criterion=Criterion(options.dose_percent, options.distance_mm, local=False),
        deciding=True,
        counted=counted,
        looked_at=int(values.size),
        percent=100 * float((values <= 1).mean()) if some else 0.0,
        mean=float(values.mean()) if some else None,
        highest=float(values.max()) if some else None,
    )


def _quick_rows(
    scope: str, planned: Dose, computed: Dose, options: GammaOptions, criteria: Sequence[Criterion]
) -> list[GammaRow]:
    sample = _sample(planned, options, _QUICK)
    counted = _counted(planned, options)
    rows = []
    for criterion in criteria:
        if criterion == Criterion(options.dose_percent, options.distance_mm, local=False):
            continue
        asked = options.model_copy(
            update={"dose_percent": criterion.dose_percent, "distance_mm": criterion.distance_mm}
        )
        result = gamma_index(planned, computed, asked, local=criterion.local, among=sample)
        rows.append(
            GammaRow(
                scope,
                criterion,
                deciding=False,
                counted=counted,
                looked_at=result.counted,
                percent=result.percent,
                mean=None,
                highest=None,
            )
        )
    return rows


def _cut_off(planned: Dose, options: GammaOptions) -> NDArray[np.bool_]:
    import numpy as np

    top = float(np.nanmax(planned.gy, initial=0.0))
    return ~np.isfinite(planned.gy) | (planned.gy >= options.cutoff_percent / 100 * top)


def _counted(planned: Dose, options: GammaOptions) -> int:
    return int(_cut_off(planned, options).sum())


def _sample(planned: Dose, options: GammaOptions, most: int) -> NDArray[np.bool_]:
    """All points at or above the cut-off, or so many of them, drawn evenly and always the same."""
    import numpy as np

    wanted = _cut_off(planned, options)
    index = np.flatnonzero(wanted)
    if index.size > most:
        drawn = np.random.default_rng(1).choice(index, most, replace=False)
        wanted = np.zeros(planned.grid.shape, dtype=bool)
        wanted.ravel()[drawn] = True
    return wanted
