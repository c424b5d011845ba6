"""Global gamma of a computed dose against the planned one (Low 1998; limits of AAPM TG-218). Pure.

The planned dose is the reference and is normalised to its own maximum; the Monte Carlo dose is the evaluated one.
A point at which the computed dose is not a number, or which lies outside its grid, fails; it never leaves the
denominator.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.records import Dose
from mqi_communicator.results.grids import box_of, corners, cropped, cut, on_grid
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.verdict import Check, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_GAMMA = 1.1  # no search beyond: only <= 1 is asked
_STEPS = 10  # interpolation steps per distance to agreement
_MEMORY = 2**28  # bytes of one slice of the search


@dataclass(frozen=True, slots=True)
class GammaResult:
    """What gamma found. `gamma` is on the planned grid, capped at 1.1; NaN where the point was not looked at."""

    counted: int
    passed: int
    lost: int  # counted points that are NaN or outside the computed grid: failed
    gamma: NDArray[np.float32]

    @property
    def percent(self) -> float:
        """Points with gamma <= 1 among all counted ones, in %."""
        return 100.0 * self.passed / self.counted if self.counted else 0.0


def gamma_index(planned: Dose, computed: Dose, options: GammaOptions) -> GammaResult:
    """Gamma of every point at or above the cut-off. The two doses may be on different grids."""
    import numpy as np

    finite = np.isfinite(planned.gy)
    top = float(planned.gy[finite].max(initial=0.0))
    counted = ~finite
    if top > 0:
        counted |= planned.gy >= options.cutoff_percent / 100 * top
    out = np.full(planned.gy.shape, np.nan, dtype=np.float32)
    if top <= 0 or not counted.any():
        return GammaResult(int(counted.sum()), 0, int(counted.sum()), out)
    box = box_of(counted)
    reference = cut(planned, box)
    seen, lost = counted[box], ~(finite[box] & np.isfinite(on_grid(computed, reference.grid)))
    found = np.where(lost, _MAX_GAMMA, _search(reference, computed, seen & ~lost, top, options))
    found = np.where(np.isfinite(found), found, _MAX_GAMMA)
    out[box] = np.where(seen, found, np.nan)
    return GammaResult(int(seen.sum()), int((seen & (found <= 1)).sum()), int((seen & lost).sum()), out)


def _search(
    reference: Dose, computed: Dose, wanted: NDArray[np.bool_], top: float, options: GammaOptions
) -> NDArray[np.float64]:
    """Hand over to pymedphys, by keyword only: percent and millimetres are easily swapped."""
    import numpy as np
    import pymedphys

    evaluated = cropped(computed, corners([reference.grid]), options.distance_mm * _MAX_GAMMA + 1)
    if not wanted.any():
        return np.full(wanted.shape, np.nan)
    # Next to a voxel that is not a number the interpolated dose must not match anything.
    values = np.where(np.isfinite(evaluated.gy), evaluated.gy, 1e3 * top).astype(np.float64)
    with _quiet():
        found: NDArray[np.float64] = pymedphys.gamma(
            axes_reference=reference.grid.axes(),
            dose_reference=np.where(wanted, reference.gy, -1.0).astype(np.float64),
            axes_evaluation=evaluated.grid.axes(),
            dose_evaluation=values,
            dose_percent_threshold=options.dose_percent,
            distance_mm_threshold=options.distance_mm,
            lower_percent_dose_cutoff=0.0,  # what is not wanted was set below zero
            interp_fraction=_STEPS,
            max_gamma=_MAX_GAMMA,
            local_gamma=False,
            global_normalisation=top,
            skip_once_passed=True,
            ram_available=_MEMORY,
        )
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence: pymedphys talks through the root logger, which would then grow a handler of its own."""
    before = logging.root.manager.disable
    mute = logging.NullHandler()
    logging.root.addHandler(mute)
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        logging.root.removeHandler(mute)


def gamma_check(planned: Dose, computed: Dose, options: GammaOptions, scope: str) -> Check:
    """Judge the pass rate."""
    result = gamma_index(planned, computed, options)
    if result.percent >= options.pass_percent:
        word = Word.PASS
    else:
        word = Word.REVIEW if result.percent >= options.review_percent else Word.FAIL
    note = (
        f"{result.percent:.1f} % of {result.counted} points within {options.dose_percent:g} % / "
        f"{options.distance_mm:g} mm, global, from {options.cutoff_percent:g} % of the planned maximum"
    )
    if result.lost:
        note += f"; {result.lost} points have no computed dose (outside the grid or not a number) and failed"
    return Check(
        name="gamma",
        scope=scope,
        word=word,
        value=result.percent,
        unit="%",
        limit=f">= {options.pass_percent:g} % pass, >= {options.review_percent:g} % review",
        points=result.counted,
        uncertainty=computed.uncertainty,
        note=note,
    )
