"""Patient positions and the axes that they give the patient in the treatment room. Pure.

PS3.3 C.7.3.1.1.2: head first is the head towards the front of the equipment, prone the face downward, decubitus right
the right side downward. IEC 61217: X of the fixed system is to the right and Y forward for someone who faces the
gantry, Z is up. Of a patient head first supine, x (left) is X, y (back) is -Z and z (head) is Y. The entry of another
position is the same three directions of the room in that patient's coordinates; it is also the orientation (PS3.3
C.7.6.2.1.1) of images that a scanner takes of this patient, rows to the viewer's right and columns downward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.records import IonPlan

POSITIONS: Mapping[str, Axes] = {
    "HFS": Axes((0, 1, 2), (1, 1, 1)),
    "HFP": Axes((0, 1, 2), (-1, -1, 1)),
    "FFS": Axes((0, 1, 2), (-1, 1, -1)),
    "FFP": Axes((0, 1, 2), (1, -1, -1)),
    "HFDR": Axes((1, 0, 2), (1, -1, 1)),
    "HFDL": Axes((1, 0, 2), (-1, 1, 1)),
    "FFDR": Axes((1, 0, 2), (-1, -1, -1)),
    "FFDL": Axes((1, 0, 2), (1, 1, -1)),
}
"""Axes as if the patient were head first supine, by PatientPosition (0018,5100)."""

KNOWN = f"{', '.join([*POSITIONS][:-1])} or {[*POSITIONS][-1]}"


def settled(plan: IonPlan, of_ct: str) -> IonPlan:
    """Return the plan with the CT's position for beams that have none."""
    return replace(plan, beams=tuple(replace(beam, position=beam.position or of_ct) for beam in plan.beams))
