"""Reads what a DICOM file is and what it refers to, without pixels: enough to check a case for completeness."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.collector import required_text, tagged, text
from mqi_communicator.dicom.problem import TRUNCATED, DicomProblem, printable
from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.structure_references import (
    ct_slices_of,
    frames_of,
    names_images,
)
from mqi_communicator.dicom.walk import PIXEL_DATA, Limits

if TYPE_CHECKING:
    from pydicom import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ION_PLAN = "1.2.840.10008.5.1.4.1.1.481.8"
NO_TREATMENT = frozenset({"SETUP", "OPEN_PORTFILM"})  # values of TreatmentDeliveryType: pictures
_KINDS = {
    CT_IMAGE: Kind.CT,
    "1.2.840.10008.5.1.4.1.1.2.1": Kind.CT,  # enhanced: refused by the CT reader
    "1.2.840.10008.5.1.4.1.1.2.2": Kind.CT,  # legacy converted enhanced: the same
    "1.2.840.10008.5.1.4.1.1.481.5": Kind.PLAN,  # photons: refused by the plan reader
    ION_PLAN: Kind.PLAN,
    "1.2.840.10008.5.1.4.1.1.481.3": Kind.STRUCTURES,
    "1.2.840.10008.5.1.4.1.1.481.2": Kind.DOSE,
}
_COMPARABLE = {
    "DoseUnits": {"GY"},
    "DoseType": {"PHYSICAL", "EFFECTIVE"},
    "DoseSummationType": {"PLAN", "FRACTION", "BEAM"},
}
_ELEMENTS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "FrameOfReferenceUID",
    "DoseUnits",
    "DoseType",
    "DoseSummationType",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
    "ReferencedRTPlanSequence",
    "ReferencedStructureSetSequence",
)


@dataclass(frozen=True, slots=True)
class Header:
    """One DICOM file of a case. UIDs are "" if the file has none; `z` (mm) is set for CT slices only."""

    kind: Kind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str = ""
    frames: tuple[str, ...] = ()  # frame of reference UIDs; a structure set may have several that can be the CT's
    refers_to: tuple[str, ...] = ()  # plan: its structure set; structure set: CT slices; dose: its plans
    z: float | None = None
    localizer: bool = False  # a scout image: of the CT's class, but not a slice
    dose: str = ""  # dose: why it is not the dose of one plan or beam in Gy; "" if it may be
    patient: str = ""  # a digest of PatientID, to compare patients without identifying them


def read_header(path: Path, limits: Limits | None = None) -> Header | None:
    """Read what the file is and refers to; None if it is not DICOM and does not claim to be.

    Objects of other kinds (a report, an image of another modality) are `Kind.OTHER` and not read further. DicomProblem
    if a relevant file is truncated, damaged or a decompression bomb; OSError if it cannot be opened.
    """
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None:
            return None
        kind = _KINDS.get(opened.sop_class_uid, Kind.OTHER)
        if kind is Kind.OTHER:
            return Header(kind, opened.sop_class_uid, opened.sop_instance_uid)
        return _read(opened, kind)


def _read(opened: Opened, kind: Kind) -> Header:
    spans = opened.spans()
    if kind in (Kind.CT, Kind.DOSE) and PIXEL_DATA not in spans:
        raise DicomProblem(f"{opened.name} ends early: it has no pixels (7FE0,0010)", "Copy the file again.", TRUNCATED)
    data = opened.parse(spans, _ELEMENTS)
    if kind is Kind.STRUCTURES and not names_images(data):
        data = opened.parse(spans, (*_ELEMENTS, "ROIContourSequence"))
    instance = text(data, "SOPInstanceUID")
    if text(data, "SOPClassUID") != opened.sop_class_uid or not instance:
        raise DicomProblem(
            f"{opened.name}: SOPClassUID (0008,0016) of the data set differs from the file meta information, or "
            f"SOPInstanceUID is missing",
            "Export the file again.",
        )
    frame = text(data, "FrameOfReferenceUID")
    position = data.get("ImagePositionPatient") if kind is Kind.CT else None
    return Header(
        kind=kind,
        sop_class_uid=opened.sop_class_uid,
        sop_instance_uid=instance,
        series_instance_uid=text(data, "SeriesInstanceUID"),
        frames=frames_of(data) if kind is Kind.STRUCTURES else tuple(filter(None, (frame,))),
        refers_to=_REFERENCES[kind](data),
        z=float(position[2]) if position else None,
        localizer=kind is Kind.CT and "LOCALIZER" in (data.get("ImageType") or ()),
        dose=_no_dose(data) if kind is Kind.DOSE else "",
        patient=hashlib.sha256(text(data, "PatientID").encode()).hexdigest(),
    )


def _no_dose(data: Dataset) -> str:
    """Why an RT Dose cannot be compared with: an error map, a sum of plans, relative units, a control point."""
    for keyword, accepted in _COMPARABLE.items():
        if (value := text(data, keyword)) and value not in accepted:
            return f"{tagged(keyword)} is {printable(value)}"
    plans = len(data.get("ReferencedRTPlanSequence") or ())
    return "" if plans == 1 else f"it refers to {plans} plans (300C,0002)"


def _referenced(keyword: str) -> Callable[[Dataset], tuple[str, ...]]:
    def read(data: Dataset) -> tuple[str, ...]:
        return tuple(dict.fromkeys(required_text(item, "ReferencedSOPInstanceUID") for item in data.get(keyword) or ()))

    return read


_REFERENCES: dict[Kind, Callable[[Dataset], tuple[str, ...]]] = {
    Kind.CT: lambda _: (),
    Kind.PLAN: _referenced("ReferencedStructureSetSequence"),
    Kind.STRUCTURES: ct_slices_of,
    Kind.DOSE: _referenced("ReferencedRTPlanSequence"),
}
