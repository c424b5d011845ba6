"""The stages for the patient's position: which it is, and plan and CT as if the patient were head first supine. Pure.

Gantry and couch angles are the room's, CT and isocentre the patient's. The same patient in another position is another
object in the room: its voxels and the isocentre are given in the axes that a patient head first supine would have
there (`dicom.positions`). These are reversals and swaps of axes; no value changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.positions import KNOWN, POSITIONS, settled
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import CTVolume, IonPlan
from mqi_communicator.dose.abilities import several_positions
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions

_TAG = "PatientPosition (0018,5100)"


def settle_position(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Give each beam its position: the plan's, or the CT's where the plan has none.

    Refused: no position in either, and several in one plan. Another word than a position is refused by `abilities`.
    """
    plan = settled(draft.plan, draft.ct.position)
    return replace(draft, plan=plan).refused(_problems(plan)).noted(_cautions(draft.plan, draft.ct))


def _problems(plan: IonPlan) -> Iterator[Problem]:
    if any(not beam.position for beam in plan.beams):
        clause = f"neither the plan nor the CT has {_TAG}, expected {KNOWN}"
        advice = "Export plan and CT with the patient position."
        yield Problem("dose.position", plan.file, "", _TAG, KNOWN, advice, clause=clause)
    yield from several_positions(plan)


def _cautions(plan: IonPlan, ct: CTVolume) -> Iterator[Caution]:
    planned = next((beam.position for beam in plan.beams if beam.position), "")
    if planned and ct.position and planned != ct.position:
        note = f"PatientPosition (0018,5100) is {planned} in the plan and {ct.position} in the CT; the plan's is used"
    elif any(not beam.position for beam in plan.beams):
        note = f"the plan has no PatientPosition (0018,5100); the CT's is used: {ct.position}"
    elif not ct.position:
        note = f"the CT has no PatientPosition (0018,5100); the plan's is used: {planned}"
    else:
        return
    yield Caution("patient_position", "plan", note, limit="the same PatientPosition in plan and CT")


def turn_to_hfs(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """The last stage: plan and CT in the axes of a patient head first supine. Structures are not turned: none remain.

    A plan without one known position, which is refused, stays as it is.
    """
    positions = {beam.position for beam in draft.plan.beams}
    axes = POSITIONS.get(positions.pop()) if len(positions) == 1 else None
    if axes is None:
        return draft
    ct, beams = draft.ct, draft.plan.beams
    return replace(
        draft,
        plan=replace(
            draft.plan,
            beams=tuple(replace(one, isocenter=axes.point(one.isocenter), position="HFS") for one in beams),
        ),
        ct=replace(ct, grid=axes.grid(ct.grid), hu=axes.array(ct.hu), position="HFS"),
        structures=None,
        axes=axes,
    )
