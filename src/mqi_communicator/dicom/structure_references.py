"""Finds the references of a structure set: frames of reference, CT series and CT slices (PS3.3 C.8.8.5, C.8.8.6). Pure.

A structure set may refer to several frames of reference, of which one is the CT's: that of its ROIs and of its CT
images. Images may be referenced per series (3006,0010), per contour (3006,0039), or both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mqi_communicator.dicom.collector import text

if TYPE_CHECKING:
    from pydicom import Dataset

_CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced
        "1.2.840.10008.5.1.4.1.1.2.2",  # legacy converted enhanced
    }
)


def frames_of(data: Dataset) -> tuple[str, ...]:
    """Return the frame of reference UIDs that may be the CT's, each once; () if the file has none.

    The first non-empty of these: frames of ROIs (3006,0024) that have CT images; frames of ROIs; frames that have CT
    images; frames of (3006,0010). More than one means that the CT's cannot be determined.
    """
    named, drawn = _frames(data), _drawn_in(data)
    with_images = _once(_uid(frame, "FrameOfReferenceUID") for frame in named if any(_ct(_images_in([frame]))))
    both = tuple(uid for uid in with_images if uid in drawn)
    return both or drawn or with_images or _once(_uid(frame, "FrameOfReferenceUID") for frame in named)


def series_of(data: Dataset) -> tuple[str, ...]:
    """Return the Series Instance UIDs of (3006,0010) > (3006,0012) > (3006,0014) in the frames of `frames_of`."""
    return _once(_uid(series, "SeriesInstanceUID") for series in _series_in(_counting(data)))


def ct_slices_of(data: Dataset) -> tuple[str, ...]:
    """Return the SOP Instance UIDs of the referenced CT slices, each once, in file order.

    These are those of (3006,0010) in the frames of `frames_of`, or, if there are none, those of the contours, if
    (3006,0039) was parsed. Images known to be of another kind (MR, PET) are excluded.
    """
    images = list(_ct(_images_in(_counting(data))))
    return _once(images or _ct(_images_of_contours(data)))


def names_images(data: Dataset) -> bool:
    """Return whether (3006,0010) refers to CT slices, so that the contours need not be parsed for them."""
    return any(True for _ in _ct(_images_in(_counting(data))))


def _counting(data: Dataset) -> list[Dataset]:
    """Return the items of (3006,0010) whose frame may be the CT's."""
    frames = set(frames_of(data))
    return [frame for frame in _frames(data) if _uid(frame, "FrameOfReferenceUID") in frames]


def _frames(data: Dataset) -> list[Dataset]:
    return list(data.get("ReferencedFrameOfReferenceSequence") or ())


def _drawn_in(data: Dataset) -> tuple[str, ...]:
    """Return the frames of the ROIs."""
    rois = data.get("StructureSetROISequence") or ()
    return _once(_uid(roi, "ReferencedFrameOfReferenceUID") for roi in rois)


def _series_in(frames: Iterable[Dataset]) -> Iterator[Dataset]:
    for frame in frames:
        for study in frame.get("RTReferencedStudySequence") or ():
            yield from study.get("RTReferencedSeriesSequence") or ()


def _images_in(frames: Iterable[Dataset]) -> Iterator[Dataset]:
    for series in _series_in(frames):
        yield from series.get("ContourImageSequence") or ()


def _images_of_contours(data: Dataset) -> Iterator[Dataset]:
    """Yield the images of ROIs in the CT's frame; of all ROIs if they have no frame."""
    frames = set(frames_of(data))
    elsewhere = {
        str(roi.get("ROINumber"))
        for roi in data.get("StructureSetROISequence") or ()
        if _uid(roi, "ReferencedFrameOfReferenceUID") not in {"", *frames}
    }
    for roi in data.get("ROIContourSequence") or ():
        if str(roi.get("ReferencedROINumber")) not in elsewhere:
            for contour in roi.get("ContourSequence") or ():
                yield from contour.get("ContourImageSequence") or ()


def _ct(images: Iterable[Dataset]) -> Iterator[str]:
    for image in images:
        if _uid(image, "ReferencedSOPClassUID") in {"", *_CT_CLASSES}:
            yield _uid(image, "ReferencedSOPInstanceUID")


def _uid(item: Dataset, keyword: str) -> str:
    return text(item, keyword)


def _once(uids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uid for uid in uids if uid))
