"""The numbers and arrays of a report that are not in the verdict, computed from doses, CT and structures.

One beam at a time is in memory, and only six planes of the CT are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.contours import Labels, Structure
from mqi_communicator.dicom.records import Beam, CTVolume, Dose, Extent, Grid, IonPlan
from mqi_communicator.report.gammas import CEILING, GammaRow, beam_gamma, gamma_map, plan_gamma
from mqi_communicator.report.options import Criterion
from mqi_communicator.report.planes import View, view_through
from mqi_communicator.report.volumes import Volumes, corners_of, shown_box, view_volumes
from mqi_communicator.results.dvh import Dvh, dvh
from mqi_communicator.results.gamma import counted_part
from mqi_communicator.results.grids import at_points, corners, cropped
from mqi_communicator.results.options import GammaOptions, JudgementOptions
from mqi_communicator.results.planes import (
    Point,
    Profile,
    axis_profiles,
    beam_profiles,
    high_dose_centre,
    largest_difference,
    profile_ends,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 50.0  # mm of computed dose kept around the planned grid
_AROUND = 5.0  # mm of a beam's computed dose around what is evaluated, for interpolation
_WITHIN = 0.95  # V95: of the reference dose


@dataclass(frozen=True, slots=True)
class ReportInput:
    """The inputs of a report. Doses are read on request and freed after use."""

    plan: IonPlan
    labels: Labels
    ct: Callable[[], CTVolume]
    structures: tuple[Structure, ...]
    planned: Callable[[int | None], Dose | None]  # by beam number, None for the plan; None if there is none
    computed: Callable[[int | None, NDArray[np.float64] | None], Dose]  # by beam; in the box of these points, if any


@dataclass(frozen=True, slots=True)
class PointRow:
    """Both doses at one point, in Gy."""

    name: str
    point: Point
    planned: float | None
    computed: float | None


@dataclass(frozen=True, slots=True)
class DvhTable:
    """DVHs, and the reference dose of V95."""

    rows: tuple[tuple[Structure, Dvh], ...]
    reference_gy: float
    reference: str  # as text

    @property
    def v95_gy(self) -> float:
        """95 % of the reference dose."""
        return _WITHIN * self.reference_gy


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a report shows in addition to the verdict. Mostly empty if there is no planned dose."""

    top_gy: float  # maximum of the planned dose (of the computed dose if there is no planned one)
    gamma: tuple[GammaRow, ...]
    gamma_values: NDArray[np.float32]  # of the plan, at the deciding criterion
    points: tuple[PointRow, ...]
    views: tuple[View, ...]
    profiles: tuple[tuple[str, tuple[Profile, ...]], ...]  # by scope
    volumes: DvhTable | None
    scanner: str
    ct: Grid
    shown: Volumes  # for the viewer
    structures: tuple[Structure, ...]


def analyse(
    material: ReportInput, judgement: JudgementOptions, criteria: Sequence[Criterion], extent: Extent
) -> Analysis:
    """Analyse the plan's dose, then each beam's. `extent` is that of the delivered doses."""
    planned = material.planned(None)
    computed = material.computed(None, None)  # all of it: a dose in the wrong place must be shown
    box = shown_box([dose for dose in (planned, computed) if dose is not None])
    if planned is not None:
        near = cropped(computed, np.concatenate([corners([planned.grid]), corners_of(box)]), MARGIN)
        computed = replace(near, gy=near.gy.copy())  # so that the memory of the rest is freed
    base = computed if planned is None else planned
    isocentre = material.plan.beams[0].isocenter
    peak = None if planned is None else largest_difference(planned, computed)
    points_of_interest = [("the isocentre", isocentre), *([("the largest dose difference", peak[0])] if peak else [])]
    limits = _limits(judgement, material.plan.beams)
    rows, values = plan_gamma(planned, computed, limits.gamma, criteria)
    volumes = _volumes(material, planned, computed, extent)
    ct = material.ct()
    targets = [s for s in material.structures if _is_target(s, material.labels)]
    views = tuple(
        view_through(name, point, planned, computed, limits.gamma, ct, targets) for name, point in points_of_interest
    )
    gamma = None if planned is None else gamma_map(planned, computed, limits.gamma)
    shown = view_volumes(planned, computed, gamma, ct, box)
    points = _points(planned, computed, points_of_interest)
    profiles: list[tuple[str, tuple[Profile, ...]]] = [("plan", axis_profiles(planned, computed, isocentre))]
    top, scanner, grid = float(np.nanmax(base.gy, initial=0.0)), ct.scanner, ct.grid
    del planned, computed, base, ct, gamma
    for beam in material.plan.beams:
        more, lines = _of_beam(material, beam, judgement, criteria)
        rows += more
        profiles.append((f"beam {beam.number}", lines))
    structures = material.structures
    return Analysis(top, tuple(rows), values, points, views, tuple(profiles), volumes, scanner, grid, shown, structures)


def _evaluated(
    beam: Beam, planned: Dose, centre: Point, options: GammaOptions, criteria: Sequence[Criterion]
) -> NDArray[np.float64]:
    """Corners of a box (n, 3), x, y, z in mm, that holds all of a beam's computed dose that is evaluated: where gamma
    is searched, and its profiles."""
    reach = CEILING * max(options.distance_mm, *(one.distance_mm for one in criteria), 0.0) + _AROUND
    counted = corners([counted_part(planned, options)[0].grid])
    lines = profile_ends(beam, centre)
    return np.concatenate([counted - reach, counted + reach, lines - _AROUND, lines + _AROUND])


def _limits(judgement: JudgementOptions, beams: Sequence[Beam]) -> JudgementOptions:
    """The limits of the sum: the machine's if all beams are of one machine, as in the verdict."""
    machines = {beam.machine for beam in beams}
    return judgement.for_machine(machines.pop()) if len(machines) == 1 else judgement


def _is_target(structure: Structure, labels: Labels) -> bool:
    return structure.kind in ("PTV", "CTV", "GTV") or structure.number == labels.target


def _volumes(material: ReportInput, planned: Dose | None, computed: Dose, extent: Extent) -> DvhTable | None:
    if planned is None:
        return None
    slices = sorted({z for structure in material.structures for z, _ in structure.contours})
    step = min((b - a for a, b in pairwise(slices)), default=planned.grid.spacing[2])
    rows = [
        (structure, made)
        for structure in material.structures
        if (made := dvh(structure.contours, step, planned, computed)) is not None
    ]
    gy, reference = _reference(material, rows, planned, extent)
    return DvhTable(tuple(rows), gy, reference)


def _reference(
    material: ReportInput, rows: Sequence[tuple[Structure, Dvh]], planned: Dose, extent: Extent
) -> tuple[float, str]:
    """The reference dose of V95: the prescription, else the planned median of the target, else the planned maximum."""
    if material.labels.prescription_gy:
        one = extent is Extent.FRACTION
        gy = material.labels.prescription_gy / (material.plan.fractions if one else 1)
        return gy, f"the prescription of {gy:.2f} Gy" + (" per fraction" if one else "")
    targets = [(s, made) for s, made in rows if _is_target(s, material.labels)]
    if targets:
        gy = targets[0][1].planned.dose_at(50)
        return gy, f"the planned median dose of structure {targets[0][0].number}, {gy:.2f} Gy (no prescription found)"
    gy = float(np.nanmax(planned.gy, initial=0.0))
    return gy, f"the planned maximum, {gy:.2f} Gy (no prescription and no target found)"


def _points(
    planned: Dose | None, computed: Dose, points_of_interest: Sequence[tuple[str, Point]]
) -> tuple[PointRow, ...]:
    if planned is not None:
        z, y, x = np.unravel_index(int(np.nanargmax(planned.gy)), planned.gy.shape)
        axes = planned.grid.axes()
        points_of_interest = [
            *points_of_interest,
            ("the planned maximum", (float(axes[2][x]), float(axes[1][y]), float(axes[0][z]))),
        ]
    return tuple(PointRow(name, at, _at(planned, at), _at(computed, at)) for name, at in points_of_interest)


def _at(dose: Dose | None, point: Point) -> float | None:
    if dose is None:
        return None
    value = float(at_points(dose, np.asarray([point]))[0])
    return value if np.isfinite(value) else None


def _of_beam(
    material: ReportInput, beam: Beam, judgement: JudgementOptions, criteria: Sequence[Criterion]
) -> tuple[list[GammaRow], tuple[Profile, ...]]:
    planned = material.planned(beam.number)
    if planned is None:
        computed = material.computed(beam.number, None)
        return [], beam_profiles(None, computed, beam, high_dose_centre(computed))
    options, centre = judgement.for_machine(beam.machine).gamma, high_dose_centre(planned)
    computed = material.computed(beam.number, _evaluated(beam, planned, centre, options, criteria))
    rows: list[GammaRow] = []
    if len(material.plan.beams) > 1:
        rows = beam_gamma(f"beam {beam.number}", planned, computed, options, criteria)
    return rows, beam_profiles(planned, computed, beam, centre)
