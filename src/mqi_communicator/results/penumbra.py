"""Lateral penumbra per beam: the distance from 80 % to 20 % across the beam, at the edges of the field. Pure.

A range shifter at a wrong distance changes the spot size alone: neither range nor position show it. Profiles run across
the beam at several depths, in two perpendicular directions; each edge is compared with itself in the other dose, and
the median over all edges is judged, so that single edges along a cavity or the skin have no influence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.numbers import fixed
from mqi_communicator.dicom.records import Beam, Dose
from mqi_communicator.results.edges import far_edge, spread_over
from mqi_communicator.results.geometry import across, direction
from mqi_communicator.results.grids import at_points, cropped, points_of
from mqi_communicator.results.options import PenumbraOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_FIELD = 0.5  # of the planned maximum: profiles that reach it belong to the field
_STEP = 0.5  # mm along a profile
_DEPTHS, _LINES = 8, 12  # profiles per direction: at so many depths, so many at each
_NARROWEST = 2.0  # mm between profiles, at least
_BEYOND = 40.0  # mm on both sides of the high-dose region
_WIDEST = 40.0  # mm: an "edge" that is wider is a gradient within the field
_ENOUGH = 0.5  # of the edges must be known in both doses
_MARGIN = 5.0  # mm around the profiles, for interpolation


@dataclass(frozen=True, slots=True)
class PenumbraResult:
    """Penumbra of a beam."""

    planned_mm: float | None  # median over the edges that both doses have
    difference_mm: float | None  # computed minus planned, median over these edges
    edges: int  # of the field
    known: int  # those of them that both doses have


def penumbra_difference(planned: Dose, computed: Dose, beam: Beam) -> PenumbraResult:
    """Compare the lateral edges of one beam."""
    lines = _lines(planned, np.asarray(direction(beam)))
    if lines is None:
        return PenumbraResult(None, None, 0, 0)
    before, after = (
        at_points(cropped(dose, lines.reshape(-1, 3), _MARGIN), lines, smooth=True) for dose in (planned, computed)
    )
    best = np.nanmax(np.nan_to_num(before), axis=1)
    field = best >= _FIELD * best.max()
    own, other = _widths(before[field]), _widths(after[field])
    known = np.isfinite(own) & np.isfinite(other) & (own <= _WIDEST) & (other <= _WIDEST)
    if not known.any():
        return PenumbraResult(None, None, known.size, 0)
    difference = float(np.median((other - own)[known]))
    return PenumbraResult(float(np.median(own[known])), difference, known.size, int(known.sum()))


def _lines(planned: Dose, axis: Doubles) -> Doubles | None:
    """Points (profiles, samples, 3) across the beam, over the planned high-dose region; None if there is no dose."""
    top = float(np.nanmax(planned.gy, initial=0.0))
    if top <= 0:
        return None
    points = points_of(planned.grid, planned.gy >= _FIELD * top)
    depths = spread_over(points @ axis, _DEPTHS, _NARROWEST)
    found = []
    for along, aside in (sides := across(axis)), sides[::-1]:
        position = points @ along
        run = np.arange(position.min() - _BEYOND, position.max() + _BEYOND, _STEP)
        a, b = np.meshgrid(depths, spread_over(points @ aside, _LINES, _NARROWEST), indexing="ij")
        starts = a.reshape(-1, 1) * axis + b.reshape(-1, 1) * aside
        found.append((starts, run, along))
    samples = max(len(run) for _, run, _ in found)
    return np.concatenate(
        [
            starts[:, None, :] + (run[0] + _STEP * np.arange(samples))[None, :, None] * along
            for starts, run, along in found
        ]
    )


def _widths(profiles: Doubles) -> Doubles:
    """The distance in mm from 80 % to 20 % at both ends of each profile; NaN where an end is unknown."""
    return np.concatenate(
        [far_edge(one, 0.2, _STEP) - far_edge(one, 0.8, _STEP) for one in (profiles, profiles[:, ::-1])]
    )


def penumbra_check(planned: Dose, computed: Dose, options: PenumbraOptions, beam: Beam) -> Check:
    """Judge the penumbra of one beam."""
    result = penumbra_difference(planned, computed, beam)
    outcome, note = _outcome(result, options)
    return Check(
        name="penumbra",
        scope=f"beam {beam.number}",
        outcome=outcome,
        value=result.difference_mm,
        unit="mm",
        limit=f"within ± {options.pass_mm:g} mm pass, ± {options.review_mm:g} mm review",
        points=result.known,
        uncertainty=computed.uncertainty,
        note=note,
    )


def _outcome(result: PenumbraResult, options: PenumbraOptions) -> tuple[CheckOutcome, str]:
    if result.difference_mm is None or result.known < _ENOUGH * result.edges:
        note = f"only {result.known} of {result.edges} lateral edges of the field are known in both doses"
        return CheckOutcome.REVIEW, f"{note}: export a dose grid that ends outside the field"
    size = abs(result.difference_mm)
    words = "wider" if result.difference_mm > 0 else "narrower"
    planned = f"the planned {result.planned_mm:.1f} mm (80 % to 20 %)"
    same = fixed(size, 1) == fixed(0.0, 1)
    note = f"the computed penumbra is {f'as {planned}' if same else f'{size:.1f} mm {words} than {planned}'}"
    if size <= options.pass_mm:
        return CheckOutcome.PASS, note
    note += ": check range shifter, air gap and spot size"
    return (CheckOutcome.REVIEW if size <= options.review_mm else CheckOutcome.FAIL), note
