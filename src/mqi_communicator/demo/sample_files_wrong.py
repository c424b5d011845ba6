"""Changes to the images, structures, doses and files of a good case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.demo.sample_case import Draft, Uids, encode
from mqi_communicator.demo.truth import FRACTIONS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def _middle(draft: Draft) -> str:
    """The name of the CT slice in the middle."""
    slices = sorted(name for name in draft.files if name.startswith("CT."))
    return slices[len(slices) // 2]


def _doses(draft: Draft) -> list[Dataset]:
    return draft.objects("RD.")


def _rescale(doses: list[Dataset], factor: float) -> None:
    for ds in doses:
        ds.DoseGridScaling = f"{float(ds.DoseGridScaling) * factor:.9e}"


def no_suffix(draft: Draft) -> None:
    """Folders CT, RS, RP, RD; names that are numbers."""
    for index, name in enumerate(sorted(draft.files), start=1):
        draft.rename(name, f"{name.split('.')[0]}/{index:05d}")


def scale_error(draft: Draft) -> None:
    """Planned doses x 1.04, plan and beams alike."""
    _rescale(_doses(draft), 1.04)


def fraction_dose(draft: Draft) -> None:
    """Planned doses of one fraction."""
    _rescale(_doses(draft), 1.0 / FRACTIONS)


def rbe_dose(draft: Draft) -> None:
    """RBE-weighted doses, honestly marked."""
    _rescale(_doses(draft), 1.1)
    for ds in _doses(draft):
        ds.DoseType = "EFFECTIVE"


def lying_rbe(draft: Draft) -> None:
    """RBE-weighted doses that call themselves physical."""
    _rescale(_doses(draft), 1.1)


def sum_mismatch(draft: Draft) -> None:
    """A plan dose that its beams do not add up to."""
    _rescale([draft.object("RD.plan.dcm")], 1.05)


def swapped_beams(draft: Draft) -> None:
    """The first two beams' doses under each other's number; each object is conformant."""
    first, second = (_beam_reference(draft.object(f"RD.beam{n}.dcm")) for n in (1, 2))
    first.ReferencedBeamNumber, second.ReferencedBeamNumber = 2, 1


def _beam_reference(dose: Dataset) -> Dataset:
    group = dose.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence[0]
    found: Dataset = group.ReferencedBeamSequence[0]
    return found


def no_dose(draft: Draft) -> None:
    """Take all RTDOSEs away."""
    for name in [n for n in draft.files if n.startswith("RD.")]:
        del draft.files[name]


def sum_only(draft: Draft) -> None:
    """Take the beams' RTDOSEs away."""
    for name in [n for n in draft.files if n.startswith("RD.beam")]:
        del draft.files[name]


def beams_only(draft: Draft) -> None:
    """Take the plan's RTDOSE away."""
    del draft.files["RD.plan.dcm"]


def wrong_dose(draft: Draft) -> None:
    """RTDOSEs that name a plan which is not here."""
    for ds in _doses(draft):
        ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = draft.uids.of("another plan")


def missing_slice(draft: Draft) -> None:
    """Take the middle slice away; the structures still name it."""
    del draft.files[_middle(draft)]


def no_plan(draft: Draft) -> None:
    """Take the plan away."""
    del draft.files["RP.dcm"]


def no_structures(draft: Draft) -> None:
    """Take all RTSTRUCTs away."""
    for name in [n for n in draft.files if n.startswith("RS.")]:
        del draft.files[name]


def wrong_structure(draft: Draft) -> None:
    """Every image, series, study and frame that the structures name is another CT's."""
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
    """Cut the middle slice in half, as a copy that broke off."""
    name = _middle(draft)
    whole = encode(draft.object(name))
    draft.files[name] = whole[: len(whole) // 2]


def zero_byte(draft: Draft) -> None:
    """Empty the middle slice."""
    draft.files[_middle(draft)] = b""


def text_as_dcm(draft: Draft) -> None:
    """Put a text beside the case."""
    draft.files["notes.dcm"] = b"This is no DICOM object, whatever its name says.\n"


def unmapped_scanner(draft: Draft) -> None:
    """A scanner of another make."""
    for ds in draft.objects("CT."):
        ds.Manufacturer, ds.ManufacturerModelName, ds.StationName = "UNKNOWN MAKER", "UNKNOWN CT", "ELSEWHERE"
