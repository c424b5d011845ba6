"""What an engine would accept silently and compute wrongly. Pure; collects all problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, refusal
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan, Layer, LayerKind
from mqi_communicator.dose.abilities import where

_EXPORT = "Correct it in the treatment planning system and export the plan again."
_FULL_TURN = 360.0  # degrees: sine and cosine of huge angles mean nothing
FARTHEST = 4000.0  # mm: a spot beyond is an error of units


class EnergyTable(Protocol):
    """The energies of a beam model. Engines extrapolate beyond them without a warning."""

    @property
    def span(self) -> str:
        """The energies for display: "100 to 250 MeV"."""
        ...

    def covers(self, energy: float) -> bool:
        """Whether this nominal energy (MeV) lies within the table."""
        ...


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise a DicomProblem with all problems, if there are any."""
    if found := list(problems):
        raise refusal(found)


def problems_of(check: Callable[[], object]) -> list[Problem]:
    """The DicomProblem that a check raises, as a list of one problem; empty if it raises none."""
    try:
        check()
    except DicomProblem as error:
        return [as_problem(error)]
    return []


def plan_problems(plan: IonPlan, ct: CTVolume) -> Iterator[Problem]:
    """Why this CT cannot be the plan's CT, or cannot be written."""
    if plan.frame_of_reference_uid not in ("", ct.frame_of_reference_uid):  # the plan may omit it (PS3.3 A.49: usage U)
        yield Problem(
            "dose.frame_of_reference",
            plan.file,
            "the plan's frame of reference (0020,0052) is not the CT's: the isocentre would be another point",
            advice="Export the CT that the plan was made on.",
        )
    if ct.hu.shape != ct.grid.shape or min(ct.grid.spacing) <= 0:
        yield Problem("dose.ct_grid", "", f"the CT has {ct.hu.shape} voxels, its grid {ct.grid.shape}")
    if not np.isfinite(ct.hu).all():
        yield Problem("dose.ct_values", "", "the CT has voxels that are not finite (NaN or infinite)")


def record_problems(plan: IonPlan) -> Iterator[Problem]:
    """What the plan reader and the preparation never let pass. Engines check it again, because they compute whatever
    they get."""
    for beam in plan.beams:
        yield from _of_record(plan, beam)
        yield from _lines(plan, beam)
        if beam.position != "HFS":  # `dose.prepare` has turned it
            found, expected = beam.position, "HFS (head first supine)"
            yield Problem("dose.position", plan.file, found, "PatientPosition (0018,5100)", expected, where=where(beam))


def sound_beams(plan: IonPlan) -> list[Beam]:
    """The beams that have layers, valid numbers and a known position, so that further checks can be made."""
    known = (beam for beam in plan.beams if beam.position in POSITIONS)
    return [beam for beam in known if not any(True for _ in _of_record(plan, beam))]


def beams_at(plan: IonPlan, ct: CTVolume) -> list[Beam]:
    """The sound beams whose spots and isocentre are near the CT, so that their rays can be followed through it.

    `beam_problems` reports the others.
    """
    return [
        beam
        for beam in sound_beams(plan)
        if all((np.abs(layer.spots) < FARTHEST).all() for layer in beam.layers) and not any(_far_axes(beam, ct))
    ]


def _far_axes(beam: Beam, ct: CTVolume) -> Iterator[tuple[str, float, float, float]]:
    """Each axis along which the isocentre is not near the CT: its name, the isocentre, first and last voxel in mm."""
    for axis, centre, first, step, count in zip(
        "xyz", beam.isocenter, ct.grid.origin, ct.grid.spacing, reversed(ct.grid.shape), strict=True
    ):
        last, extent = first + step * (count - 1), step * count
        if not first - extent <= centre <= last + extent:  # slightly outside is possible
            yield axis, centre, first, last


def _of_record(plan: IonPlan, beam: Beam) -> Iterator[Problem]:
    numbers = {
        "BeamMeterset (300A,0086)": beam.meterset,
        "FinalCumulativeMetersetWeight (300A,010E)": beam.final_cumulative_weight,
    }
    for tag, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            yield Problem("dose.meterset", plan.file, f"{value:g}", tag, "a positive number", _EXPORT, where(beam))
    if not all(math.isfinite(value) for value in (beam.gantry_angle, beam.couch_angle, *beam.isocenter)):
        found = "an angle or the isocentre is not a number"
        yield Problem("dose.geometry", plan.file, found, advice=_EXPORT, where=where(beam))
    if not beam.layers:
        found = "the beam has no energy layer"
        yield Problem("dose.no_layers", plan.file, found, "", "at least one", _EXPORT, where(beam))
    for index, layer in enumerate(beam.layers, start=1):
        for code, found in _record_faults(layer):
            at = f"{where(beam)}, layer {index} ({layer.energy:g} MeV)"
            yield Problem(code, plan.file, found, advice=_EXPORT, where=at)


def _record_faults(layer: Layer) -> Iterator[tuple[str, str]]:
    if layer.spots.shape != (len(layer.weights), 2):
        yield "dose.spots", f"{layer.spots.shape[0]} spots but {len(layer.weights)} weights"
    if not (math.isfinite(layer.energy) and np.isfinite(layer.spots).all()):
        yield "dose.spots", "an energy or a spot position is not a number"
    if not np.isfinite(layer.weights).all() or (layer.weights < 0).any():
        yield "dose.weights", "a spot weight is negative or not a number"
    elif not (layer.weights > 0).any():
        yield "dose.empty_layer", f"empty layer: {len(layer.weights)} spots with total weight 0"


def _lines(plan: IonPlan, beam: Beam) -> Iterator[Problem]:
    """Lines that the preparation has not cut into spots, as which they must not be computed."""
    count = sum(layer.kind is LayerKind.LINES for layer in beam.layers)
    if count:
        found = f"the lines of {count} of {len(beam.layers)} layers were not cut into spots"
        yield Problem("dose.lines", plan.file, found, where=where(beam))


def beam_problems(plan: IonPlan, beam: Beam, model: EnergyTable, ct: CTVolume) -> Iterator[Problem]:
    """Why a sound beam cannot be computed with this model on this CT."""
    place = where(beam)

    def problem(code: str, found: str, expected: str = "", advice: str = "", at: str = "") -> Problem:
        return Problem(code, plan.file, found, "", expected, advice, ", ".join(filter(None, (place, at))))

    if outside := [layer.energy for layer in beam.layers if not model.covers(layer.energy)]:
        number = [layer.energy for layer in beam.layers].index(outside[0]) + 1
        found = (
            f"the energy {outside[0]:g} MeV of layer {number} is outside the beam model's table"
            if len(outside) == 1
            else f"the energies {min(outside):g} to {max(outside):g} MeV of {len(outside)} layers, the first of them "
            f"layer {number}, are outside the beam model's table"
        )
        advice = "Check that the plan is for this machine, or commission a beam model that covers these energies."
        yield problem("dose.energy", found, model.span, advice)
    for index, layer in enumerate(beam.layers, start=1):
        if not (np.abs(layer.spots) < FARTHEST).all():
            at = f"layer {index} ({layer.energy:g} MeV)"
            yield problem("dose.spots", f"a spot position is beyond {FARTHEST:g} mm", "", "Export the plan again.", at)
    for angle in (beam.gantry_angle, beam.couch_angle):
        if abs(angle) > _FULL_TURN:
            found = f"the gantry or couch angle is {angle:g} degrees"
            yield problem("dose.geometry", found, f"at most {_FULL_TURN:g}", _EXPORT)
    total = float(sum(layer.weights.sum() for layer in beam.layers))
    final = beam.final_cumulative_weight
    if not math.isclose(total, final, rel_tol=1e-3):
        yield problem(
            "dose.meterset",
            f"the spot weights add up to {total:g}",
            f"FinalCumulativeMetersetWeight {final:g}",
            "Export the plan again; spots or layers may be missing.",
        )
    for axis, centre, first, last in _far_axes(beam, ct):
        found = f"isocentre {axis} = {centre:g} mm, the CT spans {first:g} to {last:g} mm"
        yield problem("dose.isocenter", found, advice="Export the CT that the plan was made on.")
