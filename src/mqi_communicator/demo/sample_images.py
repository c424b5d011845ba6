"""CT slices, structure set and doses of a sample (PS3.3 A.3, A.19, A.18)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset

from mqi_communicator.demo.phantom import BODY, BONE, LUNG, TARGET, hounsfield, outline
from mqi_communicator.demo.sample_case import DATE, TIME, Draft, start
from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CT, _STRUCTURES, _DOSE = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.481.2",
)
_CONTOURED = ((BODY, "EXTERNAL"), (TARGET, "PTV"), (BONE, "ORGAN"), (LUNG, "ORGAN"))
_AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def add_ct(draft: Draft) -> None:
    """CT.0001.dcm and on, from the feet up: signed 16 bit, HU itself (slope 1, intercept 0)."""
    hu = hounsfield(draft.size.ct, draft.size.beside, scanned=True)
    z_axis, _, _ = draft.size.ct.axes()
    for index, z in enumerate(z_axis, start=1):
        ds = start(draft, _CT, "CT", index)
        ds.ManufacturerModelName = "SYNTHETIC CT"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.AcquisitionDate, ds.AcquisitionTime, ds.ContentDate, ds.ContentTime = DATE, TIME, DATE, TIME
        ds.KVP, ds.PatientPosition, ds.BodyPartExamined, ds.RescaleType = "120", "HFS", "ABDOMEN", "HU"
        ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 1, 1, index
        ds.SliceThickness = draft.size.ct.spacing[2]
        ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
        write_pixels(ds, draft.size.ct, float(z), hu[index - 1])
        ds.PixelRepresentation = 1
        draft.files[f"CT.{index:04d}.dcm"] = ds


def write_pixels(ds: Dataset, grid: Grid, z: float, values: NDArray[np.int16] | NDArray[np.uint16]) -> None:
    """Axial pixels of 16 bit, one slice at `z` (mm) or several frames from there on: all but their signedness."""
    ds.ImagePositionPatient = [grid.origin[0], grid.origin[1], round(z, 6)]
    ds.ImageOrientationPatient, ds.PixelSpacing = list(_AXIAL), [grid.spacing[1], grid.spacing[0]]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = grid.shape[1], grid.shape[2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = values.tobytes()


def add_structures(draft: Draft) -> None:
    """RS.dcm: body, target, bone and lung, one closed contour per slice, each naming its CT slice.

    The outermost slices have no contours and are not referenced, as planning systems write it.
    """
    ds = start(draft, _STRUCTURES, "RTSTRUCT")
    ds.SeriesNumber, ds.InstanceNumber = 2, 1
    ds.StructureSetLabel, ds.StructureSetName = "MQI SAMPLE", "MQI SAMPLE"
    ds.StructureSetDate, ds.StructureSetTime, ds.ApprovalStatus = DATE, TIME, "UNAPPROVED"
    every = draft.objects("CT.")
    slices = every[draft.size.bare : len(every) - draft.size.bare]
    ds.ReferencedFrameOfReferenceSequence = [_frame_of(draft, slices)]
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    beside = [one for one in draft.size.beside if one.kind]
    contoured = (*_CONTOURED, *((one.solid, one.kind) for one in beside))
    for number, (solid, kind) in enumerate(contoured, start=1):
        roi, contours, seen = _roi(number, solid.name, kind, ds.FrameOfReferenceUID)
        contours.ContourSequence = [
            contour
            for ct in slices
            if (contour := _contour(ct, outline(solid, float(ct.ImagePositionPatient[2])))) is not None
        ]
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(contours)
        ds.RTROIObservationsSequence.append(seen)
    for one, seen in zip(beside, ds.RTROIObservationsSequence[len(_CONTOURED) :], strict=True):
        seen.ROIPhysicalPropertiesSequence = [
            item(ROIPhysicalProperty=name, ROIPhysicalPropertyValue=value) for name, value in one.properties
        ]
    draft.files["RS.dcm"] = ds


def _frame_of(draft: Draft, slices: list[Dataset]) -> Dataset:
    series = item(SeriesInstanceUID=draft.uids.of("series", "CT"))
    series.ContourImageSequence = [refer(ct) for ct in slices]
    study = refer_to("1.2.840.10008.3.1.2.3.1", draft.uids.of("study"))
    study.RTReferencedSeriesSequence = [series]
    return item(FrameOfReferenceUID=draft.uids.of("frame"), RTReferencedStudySequence=[study])


def _roi(number: int, name: str, kind: str, frame: str) -> tuple[Dataset, Dataset, Dataset]:
    colours = ([0, 255, 0], [255, 0, 0], [255, 255, 255], [0, 128, 255], [128, 128, 128])
    return (
        item(ROINumber=number, ReferencedFrameOfReferenceUID=frame, ROIName=name, ROIGenerationAlgorithm="AUTOMATIC"),
        item(ReferencedROINumber=number, ROIDisplayColor=colours[number - 1]),
        item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType=kind, ROIInterpreter=""),
    )


def _contour(ct: Dataset, outline: list[tuple[float, float]]) -> Dataset | None:
    if not outline:
        return None
    z = ct.ImagePositionPatient[2]
    return item(
        ContourImageSequence=[refer(ct)],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(outline),
        ContourData=[value for x, y in outline for value in (round(x, 2), round(y, 2), z)],
    )


def dose_object(draft: Draft, gy: NDArray[np.float64], beam: int | None) -> Dataset:
    """An RTDOSE of the course: physical dose to medium in Gy, 16 bit, of the plan (None) or of one beam."""
    grid = draft.size.dose_grid
    ds = start(draft, _DOSE, "RTDOSE", "plan" if beam is None else beam)
    ds.SeriesNumber, ds.InstanceNumber = 4, 1 if beam is None else beam + 1
    ds.ContentDate, ds.ContentTime = DATE, TIME
    scaling = float(f"{gy.max() / 65535:.9e}") * (1 + 1e-8)  # as written, rounded up: the maximum must fit
    ds.DoseGridScaling = f"{scaling:.9e}"
    write_pixels(ds, grid, grid.origin[2], np.round(gy / float(ds.DoseGridScaling)).astype("<u2"))
    ds.PixelRepresentation, ds.SliceThickness = 0, ""
    ds.NumberOfFrames, ds.FrameIncrementPointer = grid.shape[0], "GridFrameOffsetVector"
    ds.GridFrameOffsetVector = [round(k * grid.spacing[2], 6) for k in range(grid.shape[0])]
    ds.DoseUnits, ds.DoseType, ds.DoseComment = "GY", "PHYSICAL", "COURSE, TO MEDIUM"
    ds.DoseSummationType = "PLAN" if beam is None else "BEAM"
    ds.TissueHeterogeneityCorrection = "IMAGE"
    plan = refer(draft.object("RP.dcm"))
    if beam is not None:
        group = item(ReferencedBeamSequence=[item(ReferencedBeamNumber=beam)], ReferencedFractionGroupNumber=1)
        plan.ReferencedFractionGroupSequence = [group]
    ds.ReferencedRTPlanSequence = [plan]
    return ds


def add_doses(draft: Draft, per_beam: dict[int, NDArray[np.float64]]) -> None:
    """RD.plan.dcm and RD.beam<N>.dcm; the plan's dose is the sum of the beams'."""
    for number, gy in per_beam.items():
        draft.files[f"RD.beam{number}.dcm"] = dose_object(draft, gy, number)
    draft.files["RD.plan.dcm"] = dose_object(draft, np.sum(list(per_beam.values()), axis=0), None)


def refer(ds: Dataset) -> Dataset:
    """A reference to that object."""
    return refer_to(ds.SOPClassUID, ds.SOPInstanceUID)


def refer_to(sop_class: str, sop_instance: str) -> Dataset:
    """A reference by UIDs."""
    return item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_instance)


def item(**attributes: object) -> Dataset:
    """Return a sequence item with these attributes."""
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds
