"""Unrelated objects that a real export contains beside a case: another modality, another plan's dose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.sample_case import DATE, TIME, Draft, start
from mqi_communicator.demo.sample_images import dose_object, item, refer, refer_to, write_pixels
from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_MR, _STRUCTURES, _REGISTRATION = (
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.66.1",
)
_MR_GRID = Grid((1, 24, 32), (-140.0, -230.0, 38.0), (10.0, 10.0, 5.0))
_SAME_PLACE = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def add_others(draft: Draft, per_beam: Mapping[int, NDArray[np.float64]]) -> None:
    """An MR slice, a structure set on it, its registration to the CT, and a dose of this plan and another together.

    `per_beam` is the dose of this plan's beams in Gy.
    """
    draft.files["MR.0001.dcm"] = _mr(draft)
    draft.files["RS.mr.dcm"] = _structures_on_mr(draft)
    draft.files["REG.dcm"] = _registration(draft)
    draft.files["RD.sum.dcm"] = _dose_of_two_plans(draft, per_beam)


def _in_mr_frame(draft: Draft, ds: Dataset) -> Dataset:
    ds.FrameOfReferenceUID = draft.uids.of("frame", "MR")
    return ds


def _mr(draft: Draft) -> Dataset:
    ds = _in_mr_frame(draft, start(draft, _MR, "MR", 1))
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.AcquisitionDate, ds.AcquisitionTime, ds.ContentDate, ds.ContentTime = DATE, TIME, DATE, TIME
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "NONE", "", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 500.0, 15.0, 1
    ds.PatientPosition, ds.BodyPartExamined = "HFS", "ABDOMEN"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 5, 1, 1
    ds.SliceThickness = _MR_GRID.spacing[2]
    write_pixels(ds, _MR_GRID, _MR_GRID.origin[2], np.full(_MR_GRID.shape, 100, np.uint16))
    ds.PixelRepresentation = 0
    return ds


def _structures_on_mr(draft: Draft) -> Dataset:
    ds = _in_mr_frame(draft, start(draft, _STRUCTURES, "RTSTRUCT", "MR"))
    ds.SeriesInstanceUID = draft.uids.of("series", "RTSTRUCT", "MR")
    ds.SeriesNumber, ds.InstanceNumber = 6, 1
    ds.StructureSetLabel, ds.StructureSetName = "MQI SAMPLE MR", "MQI SAMPLE MR"
    ds.StructureSetDate, ds.StructureSetTime, ds.ApprovalStatus = DATE, TIME, "UNAPPROVED"
    image = refer(draft.object("MR.0001.dcm"))
    series = item(SeriesInstanceUID=draft.uids.of("series", "MR"), ContourImageSequence=[image])
    study = refer_to("1.2.840.10008.3.1.2.3.1", draft.uids.of("study"))
    study.RTReferencedSeriesSequence = [series]
    ds.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID=ds.FrameOfReferenceUID, RTReferencedStudySequence=[study])
    ]
    ds.StructureSetROISequence = [
        item(
            ROINumber=1,
            ReferencedFrameOfReferenceUID=ds.FrameOfReferenceUID,
            ROIName="Lesion on MR",
            ROIGenerationAlgorithm="MANUAL",
        )
    ]
    x, y, z = 10.0, -128.0, _MR_GRID.origin[2]
    square = [x - 12.0, y - 12.0, z, x + 12.0, y - 12.0, z, x + 12.0, y + 12.0, z, x - 12.0, y + 12.0, z]
    contour = item(
        ContourImageSequence=[image],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=4,
        ContourData=square,
    )
    ds.ROIContourSequence = [item(ReferencedROINumber=1, ROIDisplayColor=[255, 128, 0], ContourSequence=[contour])]
    ds.RTROIObservationsSequence = [
        item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV", ROIInterpreter="")
    ]
    return ds


def _registration(draft: Draft) -> Dataset:
    """Registers the MR to the CT: unit matrices from both frames to the CT's."""
    ds = start(draft, _REGISTRATION, "REG")
    ds.SeriesNumber, ds.InstanceNumber, ds.Laterality = 7, 1, ""
    ds.ContentDate, ds.ContentTime = DATE, TIME
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "MR TO CT", "", ""
    ds.RegistrationSequence = [
        _to_here(frame, refer(draft.object(name)))
        for frame, name in ((ds.FrameOfReferenceUID, "CT.0001.dcm"), (draft.uids.of("frame", "MR"), "MR.0001.dcm"))
    ]
    ds.ReferencedSeriesSequence = [
        item(
            SeriesInstanceUID=draft.uids.of("series", modality),
            ReferencedInstanceSequence=[refer(draft.object(f"{modality}.0001.dcm"))],
        )
        for modality in ("CT", "MR")
    ]
    return ds


def _to_here(frame: str, image: Dataset) -> Dataset:
    matrix = item(FrameOfReferenceTransformationMatrixType="RIGID", FrameOfReferenceTransformationMatrix=_SAME_PLACE)
    return item(
        FrameOfReferenceUID=frame,
        ReferencedImageSequence=[image],
        MatrixRegistrationSequence=[item(MatrixSequence=[matrix], RegistrationTypeCodeSequence=[])],
    )


def _dose_of_two_plans(draft: Draft, per_beam: Mapping[int, NDArray[np.float64]]) -> Dataset:
    """Return 1.5 times the dose of this plan, as the sum with another plan."""
    ds = dose_object(draft, 1.5 * np.sum(list(per_beam.values()), axis=0), None)
    ds.SOPInstanceUID = draft.uids.of("RTDOSE", "two plans")
    ds.InstanceNumber, ds.DoseSummationType = 99, "MULTI_PLAN"
    plan = draft.object("RP.dcm")
    ds.ReferencedRTPlanSequence = [refer(plan), refer_to(plan.SOPClassUID, draft.uids.of("boost plan"))]
    return ds
