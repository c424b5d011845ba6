"""Writes an RTDOSE (PS3.3 A.18, C.8.8.3): the computed dose of a beam or of the plan, as an object of the patient.

Patient and study are copied from the RT plan. The SOP Instance UID is determined by case key, token and content: a step
that runs again writes the same bytes, and a dose judged again as another dose type is another object, which an archive
keeps beside the first. Precision: 16 bit unsigned, with steps of maximum / 65535 (0.0015 % of the maximum, a hundredth
of the statistical noise of a good run); 32 bit is legal, but crashes the validator of dicom3tools.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import uuid
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.decimal_string import decimal
from mqi_communicator.dicom.lattice import place_in
from mqi_communicator.dicom.records import Biology, Dose, Extent, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_LARGEST = 2**16 - 1
_PIXEL_DATA = struct.Struct("<HH2sHL")  # tag, VR, reserved, length (PS3.5 7.1.2)
_LO = 64  # characters of a Long String (PS3.5 6.2)
_COPIED = (  # of the Patient, General Study and SOP Common modules
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
_NEEDED = ("SOPInstanceUID", "SOPClassUID", "FractionGroupSequence")


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a computed dose, without patient data."""

    key: str  # case key
    token: str  # of the beam's run; for a plan sum the tokens of all its runs, joined
    engine: str  # name and version
    software: str  # name and version of this product
    not_for_qa: str = ""  # why it was not judged; "" if it was judged


@dataclass(frozen=True, slots=True)
class WrittenDose:
    """A file that was written: its SOP Instance UID and its sha256 in hex."""

    uid: str
    sha256: str


def write_rtdose(
    target: Path, dose: Dose, origin: Origin, *, plan: Path, frame_of_reference_uid: str, whole: Grid | None = None
) -> WrittenDose:
    """Write `dose` to `target` atomically.

    `whole`: a grid that has the voxels of the dose's, on which it is written, zero elsewhere; None: the dose's own.
    `plan` is the admitted RT plan file. Permanent if the dose is not finite, negative or nowhere above zero.
    """
    source = dcmread(plan, stop_before_pixels=True, specific_tags=[*_COPIED, *_NEEDED])
    whole = dose.grid if whole is None else whole
    pixels, place, scaling = _scaled(dose, whole)
    ds = _dataset(source, dose, origin)
    ds.FrameOfReferenceUID = frame_of_reference_uid
    _write_grid(ds, whole, scaling)
    _assign_uid(ds, origin, pixels[place])
    head = BytesIO()
    ds.save_as(head, enforce_file_format=True)
    head.write(_PIXEL_DATA.pack(0x7FE0, 0x0010, b"OW", 0, pixels.nbytes))
    digest = hashlib.sha256(head.getvalue())
    digest.update(pixels.data)
    aside = target.with_name(target.name + ".part")
    with aside.open("wb") as file:
        file.write(head.getvalue())
        file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(target)
    return WrittenDose(str(ds.SOPInstanceUID), digest.hexdigest())


def _scaled(dose: Dose, whole: Grid) -> tuple[NDArray[np.uint16], tuple[slice, slice, slice], str]:
    """Return the pixels on `whole`, where the dose is in them, and the DoseGridScaling as written, so that the integers
    compensate the rounding of the text."""
    low, high = float(dose.gy.min()), float(dose.gy.max())
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0 or high <= 0:
        raise Permanent(
            f"the dose cannot be written: its values range from {low:g} to {high:g} Gy",
            "expected a finite, non-negative dose that is not zero everywhere: check the engine's log",
        )
    place = place_in(whole, dose.grid)
    if place is None:
        raise Permanent("the dose cannot be written: it is on another grid than the CT", "compute the case again")
    text = decimal(high / _LARGEST)
    pixels = np.zeros(whole.shape, dtype="<u2")
    for plane, values in zip(pixels[place], dose.gy, strict=True):
        plane[:] = np.clip(np.rint(values.astype(np.float64) / float(text)), 0, _LARGEST)
    return pixels, place, text


def _uid(origin: Origin, *what: str) -> str:
    """Return a UUID-derived UID (PS3.5 B.2) determined by its arguments."""
    digest = hashlib.sha256("\n".join(("mqi-communicator", origin.key, *what)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def _dataset(source: Dataset, dose: Dose, origin: Origin) -> Dataset:
    """Make the data set without grid and SOP Instance UID. All doses of a case are one series."""
    ds = Dataset()
    for keyword in _COPIED:
        if keyword in source:
            setattr(ds, keyword, source[keyword].value)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        _empty(ds, keyword)
    for keyword in ("AccessionNumber", "ReferringPhysicianName", "OperatorsName", "PositionReferenceIndicator"):
        _empty(ds, keyword)
    ds.SOPClassUID = _RT_DOSE
    ds.Modality, ds.Manufacturer = "RTDOSE", "MQI Communicator"
    ds.SeriesInstanceUID, ds.SeriesNumber = _uid(origin, "series"), 1
    ds.InstanceNumber = dose.beam_number or 0
    ds.SoftwareVersions = [origin.software[:_LO], origin.engine[:_LO]]
    _describe(ds, dose, origin)
    ds.ReferencedRTPlanSequence = [_reference(source, dose)]
    return ds


def _assign_uid(ds: Dataset, origin: Origin, pixels: NDArray[np.uint16]) -> None:
    """Set the SOP Instance UID from the run and the content: the pixels that can be above zero."""
    encoded = BytesIO()
    ds.save_as(encoded, implicit_vr=False, little_endian=True)
    content = hashlib.sha256(encoded.getvalue())
    for plane in pixels:
        content.update(np.ascontiguousarray(plane).data)
    ds.SOPInstanceUID = _uid(origin, origin.token, content.hexdigest())
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = _RT_DOSE, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _empty(ds: Dataset, keyword: str) -> None:
    """Set a type 2 attribute that the plan does not have to empty."""
    if keyword not in ds:
        setattr(ds, keyword, None)


def _describe(ds: Dataset, dose: Dose, origin: Origin) -> None:
    """Describe the dose for readers and planning systems. ImageComments has the full reason."""
    mark = "NOT FOR QA: " if origin.not_for_qa else ""
    what = f"{mark}independent recalculation by {origin.engine}"
    extent = "one fraction" if dose.dose_type.extent is Extent.FRACTION else "whole course"
    ds.DoseComment = what[:_LO]
    ds.SeriesDescription = what[:_LO]
    reason = f"NOT FOR QA: {origin.not_for_qa}. " if origin.not_for_qa else ""
    ds.ImageComments = (
        f"{reason}Independent recalculation by {origin.engine}; dose to {dose.dose_type.medium}, "
        f"{dose.dose_type.biology}, {extent}; not a treatment planning dose."
    )
    ds.DoseUnits = "GY"
    ds.DoseType = "EFFECTIVE" if dose.dose_type.biology is Biology.RBE else "PHYSICAL"
    ds.DoseSummationType = "PLAN" if dose.beam_number is None else "BEAM"


def _reference(source: Dataset, dose: Dose) -> Dataset:
    """Refer to the plan, and for the dose of a beam to fraction group and beam (PS3.3 C.8.8.3.2)."""
    plan = _item(ReferencedSOPClassUID=source.SOPClassUID, ReferencedSOPInstanceUID=source.SOPInstanceUID)
    if dose.beam_number is not None:
        groups = source.get("FractionGroupSequence") or []
        number = groups[0].FractionGroupNumber if groups else 1
        beam = _item(ReferencedBeamNumber=dose.beam_number)
        group = _item(ReferencedFractionGroupNumber=number, ReferencedBeamSequence=[beam])
        plan.ReferencedFractionGroupSequence = [group]
    return plan


def _item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def _write_grid(ds: Dataset, grid: Grid, scaling: str) -> None:
    """Set the grid: axial frames, z ascending, offsets relative to the first (PS3.3 C.8.8.3.2)."""
    (frames, rows, columns), (dx, dy, dz) = grid.shape, grid.spacing
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, rows, columns
    ds.FrameIncrementPointer = "GridFrameOffsetVector"
    ds.GridFrameOffsetVector = [decimal(i * dz) for i in range(frames)]
    ds.ImagePositionPatient = [decimal(value) for value in grid.origin]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.PixelSpacing, ds.SliceThickness = [decimal(dy), decimal(dx)], decimal(dz)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.DoseGridScaling = scaling
