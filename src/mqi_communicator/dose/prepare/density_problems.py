"""Why the densities of a case cannot be computed. Messages name structures; they are not logged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Grid, IonPlan
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.passage import Passage
from mqi_communicator.dose.prepare.beyond import points_beyond
from mqi_communicator.dose.prepare.body import Body
from mqi_communicator.dose.prepare.hits import Hits
from mqi_communicator.dose.prepare.overrides import Override
from mqi_communicator.dose.stopping import Ratio, target_ratio

OVERRIDE, BOLUS, OUTSIDE_BODY = "structures.density_override", "structures.bolus", "structures.outside_body"
_DRAW = "Export a structure set whose EXTERNAL is the whole body, in every slice that a beam passes."
_ORDER = "Say in preparation.overlaps which of them counts, or separate them in the planning system."

MOST_OVERRIDES = 1000  # structures with a density of one case; clinics have tens


def too_many_overrides(count: int, file: str) -> Problem:
    """More structures with a density of their own than are computed."""
    found = f"{count} structures override the density of the CT (3006,00B0)"
    return Problem(OVERRIDE, file, found, "", f"at most {MOST_OVERRIDES}", "Export the structure set again.")


def bolus_problems(plan: IonPlan, structures: StructureSet | None) -> tuple[Problem, ...]:
    """Boli that beams name and that have no density or no volume."""
    rois = {roi.number: roi for roi in structures.rois} if structures else {}
    found = []
    for beam in plan.beams:
        devices = sum(device.kind == "bolus" for device in beam.devices)
        if devices and not beam.boli:
            found.append(_bolus(plan, where(beam), "needs a bolus (300C,00B0) and does not name its structure"))
        for number in beam.boli:
            roi = rois.get(number)
            if structures is None:
                found.append(_bolus(plan, where(beam), f"needs a bolus, structure {number} of a missing structure set"))
            elif roi is None or target_ratio(roi.properties) is None:
                name = roi.description if roi else f"structure {number}"
                what = f"needs a bolus, {name}, which has no density (ROIPhysicalPropertiesSequence (3006,00B0))"
                found.append(_bolus(plan, where(beam), what))
            elif not roi.contours:
                found.append(_bolus(plan, where(beam), f"needs a bolus, {roi.description}, which has no contours"))
    return tuple(found)


def _bolus(plan: IonPlan, place: str, clause: str) -> Problem:
    advice = "Export the structure set with contours and density of the bolus."
    return Problem(BOLUS, plan.file, clause, advice=advice, where=place)


def body_problems(overrides: Sequence[Override], body: Body | None, file: str, rule: str) -> list[Problem]:
    """Structures whose position is unknown, and a missing EXTERNAL."""
    found = [
        _problem(one, file, f"{one.values}, {one.roi.doubt}, so its position is unknown", "Draw it on the CT's slices.")
        for one in overrides
        if one.roi.doubt
    ]
    if body is None:
        return found
    known = {one.roi.number for one in overrides}
    for roi in body.parts:
        if roi.doubt and roi.number not in known:
            text = f"{roi.description} is part of the body, and {roi.doubt}, so that its position is unknown ({rule})"
            found.append(Problem(OUTSIDE_BODY, file, text, advice="Draw it on the CT's slices."))
    if not body.has_external:
        text = f"no structure of type EXTERNAL (3006,00A4) has contours in the CT, and {rule}"
        found.append(Problem(OUTSIDE_BODY, file, text, advice=_DRAW))
    return found


def override_problems(overrides: Sequence[Override], hits: Hits, ratio: Ratio, file: str) -> Iterator[Problem]:
    """Structures that cannot be written and matter, and overlaps of which none counts."""
    for number, hit in sorted(hits.wrong.items(), key=lambda item: overrides[item[0]].roi.number):
        one = overrides[number]
        taken = float(ratio(np.array([hit.hu], dtype=np.float32))[0])
        value = "an unknown one" if np.isnan(taken) else f"{taken:.3f}"
        reason = one.obstacle or one.why_not
        yield _problem(one, file, f"{one.values}, {reason}; the engine takes {value} from the CT {hit}", one.advice)
    for (first, second), hit in hits.overlaps.items():
        one, other = sorted((overrides[first], overrides[second]), key=lambda both: both.roi.number)
        text = (
            f"{one.values}, and {other.roi.description} overlaps it with a ratio of {other.target:.3f} {hit}; which of "
            f"them counts is not known"
        )
        yield _problem(one, file, text, _ORDER)


def gap_problems(hits: Hits, file: str, rule: str) -> Iterator[Problem]:
    """An EXTERNAL with holes, or that is not drawn where a beam passes."""
    for drawn, hit in sorted(hits.gaps.items()):
        what = "EXTERNAL has a hole" if drawn else f"EXTERNAL is not drawn in the slice at z = {hit.point[2]:g} mm"
        text = f"{what} with {hit.hu:g} HU {hit}, which would become air: {rule}"
        yield Problem(OUTSIDE_BODY, file, text, advice=_DRAW)


def outside_ct_problems(
    overrides: Sequence[Override], grid: Grid, passages: Sequence[Passage], file: str
) -> Iterator[Problem]:
    """Structures that a beam passes outside of the CT, where nothing is computed."""
    for one in overrides:
        points = points_beyond(one.roi, grid)
        if (
            len(points)
            and (beam := next((one.number for one in passages if one.enters(points).any()), None)) is not None
        ):
            found = f"{one.values}, and beam {beam} passes a part of it outside of the CT, where nothing is computed"
            yield _problem(one, file, found, "Export a CT that contains the structure where beams pass it.")


def _problem(one: Override, file: str, found: str, advice: str) -> Problem:
    text = f"{one.roi.description} overrides the density of the CT (3006,00B0): {found}"
    return Problem(OVERRIDE, file, text, advice=advice)
