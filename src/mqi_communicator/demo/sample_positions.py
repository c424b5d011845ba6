"""The same phantom in the room as a patient in another position: gantry and couch angles stay, coordinates change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.dicom.positions import POSITIONS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def lying(position: str) -> Callable[[Draft], None]:
    """The phantom as a patient in this position, imaged as a scanner does it: the pixels stay, the axes change."""
    to_patient = POSITIONS[position].inverse.point

    def moved(values: object) -> list[float]:
        numbers = [float(value) for value in values]  # type: ignore[attr-defined]
        points = zip(*[iter(numbers)] * 3, strict=True)
        return [value for x, y, z in points for value in to_patient((x, y, z))]

    def images(objects: list[Dataset]) -> None:
        for ds in objects:
            ds.ImagePositionPatient = moved(ds.ImagePositionPatient)
            ds.ImageOrientationPatient = moved(ds.ImageOrientationPatient)

    def change(draft: Draft) -> None:
        for ds in draft.objects("CT."):
            ds.PatientPosition = position
        images([*draft.objects("CT."), *draft.objects("RD.")])
        plan, structures = draft.object("RP.dcm"), draft.object("RS.dcm")
        for setup in plan.PatientSetupSequence:
            setup.PatientPosition = position
        for beam in plan.IonBeamSequence:
            first = beam.IonControlPointSequence[0]
            first.IsocenterPosition = moved(first.IsocenterPosition)
        for roi in structures.ROIContourSequence:
            for contour in roi.ContourSequence:
                contour.ContourData = moved(contour.ContourData)

    return change
