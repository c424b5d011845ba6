"""Reads what a report shows of an RTSTRUCT and a plan: contours, prescription, and optionally the patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import text
from mqi_communicator.dicom.problem import DicomProblem, printable
from mqi_communicator.dicom.reading import open_dicom
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_STRUCTURE_ELEMENTS = ("SOPClassUID", "StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence")
_PLAN_ELEMENTS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "RTPlanDate",
    "RTPlanTime",
    "ReviewDate",
    "ReviewTime",
    "ReviewerName",
    "DoseReferenceSequence",
)
_LIMITS = Limits(elements=2_000_000)  # contours are many
CORNERS = 3  # of an area, at least
LEVEL = 0.1  # mm: a contour whose corners differ by more in z is not axial


@dataclass(frozen=True, slots=True)
class Structure:
    """One contoured structure. `name` may contain anything that a user typed: never logged."""

    number: int  # ROINumber
    name: str
    kind: str  # RTROIInterpretedType (3006,00A4): PTV, ORGAN, EXTERNAL, ...; "" if not specified
    colour: tuple[int, int, int] | None  # ROIDisplayColor
    contours: tuple[tuple[float, NDArray[np.float64]], ...]  # (z in mm, corners (n, 2) as x, y in mm), by z


@dataclass(frozen=True, slots=True)
class Labels:
    """Patient, prescription, dates and persons of a plan. They are shown only as the site wants, and never logged."""

    patient_name: str
    patient_id: str
    birth_date: str
    prescription_gy: float | None  # TargetPrescriptionDose (300A,0026), of the course; the highest if there are several
    target: int | None  # the ROINumber it is prescribed to
    plan_date: str = ""  # RTPlanDate (300A,0006)
    plan_time: str = ""  # RTPlanTime (300A,0007)
    review_date: str = ""  # ReviewDate (300E,0004), of the approval
    review_time: str = ""  # ReviewTime (300E,0005)
    reviewer: str = ""  # ReviewerName (300E,0008)
    prescriptions: Mapping[int | None, float] = field(default_factory=dict)  # Gy of the course by ROINumber, if any


def read_contours(path: Path) -> tuple[Structure, ...]:
    """Read the structures with closed axial contours, in file order. DicomProblem if it is no structure set.

    A structure with closed contours in another plane, as on a sagittal CT, is left out.
    """
    with open_dicom(path, _LIMITS) as opened:
        if opened is None or opened.sop_class_uid != _STRUCTURE_SET:
            raise DicomProblem(f"{printable(path.name)} is not an RT Structure Set", "Export the structure set again.")
        data = opened.parse(opened.spans(), _STRUCTURE_ELEMENTS)
        drawn = {int(item.ReferencedROINumber): item for item in data.get("ROIContourSequence", ())}
        kinds = {
            int(item.ReferencedROINumber): text(item, "RTROIInterpretedType")
            for item in data.get("RTROIObservationsSequence", ())
        }
        found = []
        for roi in data.get("StructureSetROISequence", ()):
            number = int(roi.ROINumber)
            contours = _contours(drawn[number]) if number in drawn else ()
            if contours:
                name, colour = text(roi, "ROIName"), _colour(drawn[number])
                found.append(Structure(number, name, kinds.get(number, ""), colour, contours))
        return tuple(found)


def closed_outlines(drawn: Dataset) -> Iterator[NDArray[np.float64]]:
    """Yield the corners (n, 3) in mm of each closed contour of an item of ROIContourSequence."""
    for item in drawn.get("ContourSequence") or ():
        if text(item, "ContourGeometricType").startswith("CLOSED"):
            yield _numbers(item, "ContourData").reshape(-1, 3)


def _numbers(item: Dataset, keyword: str) -> NDArray[np.float64]:
    """The values of an element of decimal strings, all at once: a structure set has millions, and pydicom makes an
    object of each. KeyError if there is no such element."""
    raw = item.get_item(keyword).value if keyword in item else item[keyword].value
    if isinstance(raw, bytes):
        return np.array(raw.rstrip(b"\0 ").split(b"\\"), dtype=np.float64)
    return np.asarray(raw, dtype=np.float64)


def _contours(drawn: Dataset) -> tuple[tuple[float, NDArray[np.float64]], ...]:
    outlines = [corners for corners in closed_outlines(drawn) if len(corners) >= CORNERS]
    if any(np.ptp(corners[:, 2]) > LEVEL for corners in outlines):
        return ()
    areas = [(round(float(corners[0, 2]), 3), corners[:, :2].copy()) for corners in outlines]
    return tuple(sorted(areas, key=lambda area: area[0]))


def _colour(drawn: Dataset) -> tuple[int, int, int] | None:
    values = [int(value) for value in drawn.get("ROIDisplayColor") or ()]
    return (values[0], values[1], values[2]) if len(values) == 3 else None  # noqa: PLR2004 - red, green, blue


def read_labels(plan: Path) -> Labels:
    """Read the patient and the prescription of a plan."""
    with open_dicom(plan, _LIMITS) as opened:
        if opened is None:
            raise DicomProblem(f"{printable(plan.name)} is not a DICOM file", "Export the plan again.")
        data = opened.parse(opened.spans(), _PLAN_ELEMENTS)
        aims = [
            (float(item.TargetPrescriptionDose), item.get("ReferencedROINumber"))
            for item in data.get("DoseReferenceSequence", ())
            if text(item, "DoseReferenceType") == "TARGET" and item.get("TargetPrescriptionDose")
        ]
        dose, target = max(aims, key=lambda aim: aim[0]) if aims else (None, None)
        return Labels(
            patient_name=text(data, "PatientName"),
            patient_id=text(data, "PatientID"),
            birth_date=text(data, "PatientBirthDate"),
            plan_date=text(data, "RTPlanDate"),
            plan_time=text(data, "RTPlanTime"),
            review_date=text(data, "ReviewDate"),
            review_time=text(data, "ReviewTime"),
            reviewer=text(data, "ReviewerName"),
            prescription_gy=dose,
            target=None if target is None else int(target),
            prescriptions={None if roi is None else int(roi): gy for gy, roi in sorted(aims, key=lambda aim: aim[0])},
        )
