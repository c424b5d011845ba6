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
_AROUND = 1.0  # mm
_STEPS = 10  # interpolation steps per distance to agreement
_MEMORY = 2**28  # bytes of one slice of the search


@dataclass(frozen=True, slots=True)
class GammaResult:
    """What gamma found. `gamma` is on the planned grid, capped (at 1.1 by default); NaN where it was not looked at."""

    counted: int
    passed: int
    lost: int  # counted points that are NaN or outside the computed grid: failed
    gamma: NDArray[np.float32]

    @property
    def percent(self) -> float:
        """Points with gamma <= 1 among all counted ones, in %."""
        return 100.0 * self.passed / self.counted if self.counted else 0.0


@dataclass(frozen=True, slots=True)
class _How:
    """How gamma is searched for."""

    top: float  # Gy, what a global dose difference is a percent of
    ceiling: float  # no search beyond
    exact: bool  # each value, not only whether it is <= 1
    local: bool


def gamma_index(
    planned: Dose,
    computed: Dose,
    options: GammaOptions,
    *,
    local: bool = False,
    among: NDArray[np.bool_] | None = None,
    ceiling: float | None = None,
) -> GammaResult:
    """Gamma of every point at or above the cut-off. The two doses may be on different grids.

    `local` takes the dose difference in % of each point's own planned dose. `among` (a mask on the planned grid) looks
    at these points only. Without a `ceiling` gamma is searched only as far as the question `<= 1` needs; with one the
    values themselves are right, up to it.
    """
    import numpy as np

    highest = _MAX_GAMMA if ceiling is None else ceiling

    finite = np.isfinite(planned.gy)
    top = float(planned.gy[finite].max(initial=0.0))
    counted = ~finite
    if top > 0:
        counted |= planned.gy >= options.cutoff_percent / 100 * top
    if among is not None:
        counted &= among
    out = np.full(planned.gy.shape, np.nan, dtype=np.float32)
    if top <= 0 or not counted.any():
        return GammaResult(int(counted.sum()), 0, int(counted.sum()), out)
    box = box_of(counted)
    reference = cut(planned, box)
    near = cropped(computed, corners([reference.grid]), _AROUND)  # the rest of a large grid is not looked at
    seen, lost = counted[box], ~(finite[box] & np.isfinite(on_grid(near, reference.grid)))
    how = _How(top, highest, exact=ceiling is not None, local=local)
    found = np.where(lost, highest, _search(reference, computed, seen & ~lost, how, options))
    found = np.where(np.isfinite(found), found, highest)
    out[box] = np.where(seen, found, np.nan)
    return GammaResult(int(seen.sum()), int((seen & (found <= 1)).sum()), int((seen & lost).sum()), out)


def _search(
    reference: Dose, computed: Dose, wanted: NDArray[np.bool_], how: _How, options: GammaOptions
) -> NDArray[np.float64]:
    """Hand over to pymedphys, by keyword only: percent and millimetres are easily swapped."""
    import numpy as np
    import pymedphys

    evaluated = cropped(computed, corners([reference.grid]), options.distance_mm * how.ceiling + 1)
    if not wanted.any():
        return np.full(wanted.shape, np.nan)
    # Next to a voxel that is not a number the interpolated dose must not match anything.
    values = np.where(np.isfinite(evaluated.gy), evaluated.gy, 1e3 * how.top).astype(np.float64)
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
            max_gamma=how.ceiling,
            local_gamma=how.local,
            global_normalisation=how.top,
            skip_once_passed=not how.exact,
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
