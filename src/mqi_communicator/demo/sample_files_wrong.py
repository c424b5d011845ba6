"""Changes to the images, structures, doses and files of a correct case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft, Uids, encode
from mqi_communicator.demo.truth import FRACTIONS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def _middle(draft: Draft) -> str:
    """Return the name of the CT slice in the middle."""
    slices = sorted(name for name in draft.files if name.startswith("CT."))
    return slices[len(slices) // 2]


def _doses(draft: Draft) -> list[Dataset]:
    return draft.objects("RD.")


def _rescale(doses: list[Dataset], factor: float) -> None:
    for ds in doses:
        ds.DoseGridScaling = f"{float(ds.DoseGridScaling) * factor:.9e}"


def no_suffix(draft: Draft) -> None:
    """Subfolders CT, RS, RP, RD; numbers as names."""
    for index, name in enumerate(sorted(draft.files), start=1):
        draft.rename(name, f"{name.split('.')[0]}/{index:05d}")


def scale_error(draft: Draft) -> None:
    """Planned doses x 1.04, plan and beams alike."""
    _rescale(_doses(draft), 1.04)


def fraction_dose(draft: Draft) -> None:
    """Planned doses of one fraction."""
    _rescale(_doses(draft), 1.0 / FRACTIONS)


def rbe_dose(draft: Draft) -> None:
    """RBE-weighted doses, correctly marked."""
    _rescale(_doses(draft), 1.1)
    for ds in _doses(draft):
        ds.DoseType = "EFFECTIVE"


def lying_rbe(draft: Draft) -> None:
    """RBE-weighted doses marked as physical."""
    _rescale(_doses(draft), 1.1)


def sum_mismatch(draft: Draft) -> None:
    """A plan dose that is not the sum of its beam doses."""
    _rescale([draft.object("RD.plan.dcm")], 1.05)


def swapped_beams(draft: Draft) -> None:
    """Exchange the beam numbers of the first two beams' doses; each object is conformant."""
    first, second = (_beam_reference(draft.object(f"RD.beam{n}.dcm")) for n in (1, 2))
    first.ReferencedBeamNumber, second.ReferencedBeamNumber = 2, 1


def _beam_reference(dose: Dataset) -> Dataset:
    group = dose.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0]
    found: Dataset = group.ReferencedBeamSequence[0]
    return found


def no_dose(draft: Draft) -> None:
    """Remove all RTDOSEs."""
    for name in [n for n in draft.files if n.startswith("RD.")]:
        del draft.files[name]


def sum_only(draft: Draft) -> None:
    """Remove the beams' RTDOSEs."""
    for name in [n for n in draft.files if n.startswith("RD.beam")]:
        del draft.files[name]


def beams_only(draft: Draft) -> None:
    """Remove the plan's RTDOSE."""
    del draft.files["RD.plan.dcm"]


def wrong_dose(draft: Draft) -> None:
    """RTDOSEs that refer to a missing plan."""
    for ds in _doses(draft):
        ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = draft.uids.of("another plan")


def missing_slice(draft: Draft) -> None:
    """Remove the middle slice, to which the structures still refer."""
    del draft.files[_middle(draft)]


def no_plan(draft: Draft) -> None:
    """Remove the plan."""
    del draft.files["RP.dcm"]


def no_structures(draft: Draft) -> None:
    """Remove all RTSTRUCTs."""
    for name in [n for n in draft.files if n.startswith("RS.")]:
        del draft.files[name]


def wrong_structure(draft: Draft) -> None:
    """Make the structures refer to the images, series and frame of another CT."""
    other = Uids(f"{draft.uids.root}|another CT")
    rs = draft.object("RS.dcm")
    frame = rs.ReferencedFrameOfReferenceSequence[0]
    rs.FrameOfReferenceUID = frame.FrameOfReferenceUID = other.of("frame")
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.SeriesInstanceUID = other.of("series", "CT")
    contours = [c for roi in rs.ROIContourSequence for c in roi.ContourSequence]
    for image in [*series.ContourImageSequence, *(c.ContourImageSequence[0] for c in contours)]:
        image.ReferencedSOPInstanceUID = other.of(image.ReferencedSOPInstanceUID)
    for roi in rs.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = other.of("frame")


def truncated(draft: Draft) -> None:
    """Truncate the middle slice, as by an aborted copy."""
    name = _middle(draft)
    whole = encode(draft.object(name))
    draft.files[name] = whole[: len(whole) // 2]


def zero_byte(draft: Draft) -> None:
    """Empty the middle slice."""
    draft.files[_middle(draft)] = b""


def text_as_dcm(draft: Draft) -> None:
    """Add a text file."""
    draft.files["notes.dcm"] = b"This is no DICOM object, whatever its name says.\n"


def unmapped_scanner(draft: Draft) -> None:
    """A scanner of another manufacturer."""
    for ds in draft.objects("CT."):
        ds.Manufacturer, ds.ManufacturerModelName, ds.StationName = "UNKNOWN MAKER", "UNKNOWN CT", "ELSEWHERE"
