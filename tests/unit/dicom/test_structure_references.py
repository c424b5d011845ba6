"""Which frame of reference, series and CT slices a structure set means."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from mqi_communicator.dicom.structure_references import ct_slices_of, frames_of, names_images, series_of

pytestmark = pytest.mark.pure

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def images(*uids, kind=CT):
    return [item(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid) for uid in uids]


def frame(uid, *series):
    """`series`: pairs of a series UID and its images; none: a frame that names nothing."""
    made = item(FrameOfReferenceUID=uid)
    if series:
        items = [item(SeriesInstanceUID=name, ContourImageSequence=named) for name, named in series]
        made.RTReferencedStudySequence = [item(RTReferencedSeriesSequence=items)]
    return made


def structures(*frames, rois=(), contours=()):
    """`rois`: the frame of each ROI, numbered from 1; `contours`: the images of each."""
    made = item(
        ReferencedFrameOfReferenceSequence=list(frames),
        StructureSetROISequence=[
            item(ROINumber=number, ReferencedFrameOfReferenceUID=uid) for number, uid in enumerate(rois, start=1)
        ],
    )
    if contours:
        made.ROIContourSequence = [
            item(ReferencedROINumber=number, ContourSequence=[item(ContourImageSequence=named)])
            for number, named in enumerate(contours, start=1)
        ]
    return made


def reported(data):
    return frames_of(data), series_of(data), ct_slices_of(data)


def test_one_frame_with_its_series_and_slices():
    data = structures(frame("1.1", ("1.2", images("1.3", "1.4", "1.3"))), rois=["1.1"])
    assert reported(data) == (("1.1",), ("1.2",), ("1.3", "1.4"))
    assert names_images(data)


@pytest.mark.parametrize("other", [frame("9.1"), frame("9.1", ("9.2", images("9.3"))), frame("9.1", ("9.2", []))])
def test_of_two_frames_the_one_counts_that_the_rois_are_drawn_in(other):
    own = frame("1.1", ("1.2", images("1.3")))
    for data in (structures(other, own, rois=["1.1"]), structures(own, other, rois=["1.1", "1.1"])):
        assert reported(data) == (("1.1",), ("1.2",), ("1.3",))


def test_of_two_frames_the_one_counts_that_names_ct_images():
    own, other = frame("1.1", ("1.2", images("1.3"))), frame("9.1", ("9.2", images("9.3", kind=MR)))
    assert reported(structures(other, own)) == (("1.1",), ("1.2",), ("1.3",))
    assert reported(structures(other, own, rois=["9.1", "1.1"])) == (("1.1",), ("1.2",), ("1.3",))


def test_two_frames_with_ct_images_and_no_roi_cannot_be_told_apart():
    data = structures(frame("1.1", ("1.2", images("1.3"))), frame("9.1", ("9.2", images("9.3"))))
    assert reported(data) == (("1.1", "9.1"), ("1.2", "9.2"), ("1.3", "9.3"))


def test_images_of_another_frame_than_the_rois_are_not_the_ct():
    data = structures(frame("9.1", ("9.2", images("9.3"))), rois=["1.1"])
    assert reported(data) == (("1.1",), (), ())


def test_images_that_only_the_contours_name():
    data = structures(frame("1.1"), rois=["1.1", "1.1"], contours=[images("1.4", "1.3"), images("1.3", "1.5")])
    assert not names_images(data)
    assert reported(data) == (("1.1",), (), ("1.4", "1.3", "1.5"))


def test_contours_in_another_frame_or_on_another_kind_of_image_name_no_ct_slice():
    named = [images("1.3"), images("1.4", kind=MR), images("9.3")]
    data = structures(frame("1.1"), rois=["1.1", "1.1", "1.1"], contours=named)
    assert ct_slices_of(data) == ("1.3", "9.3")
    own = frame("1.1", ("1.2", images("1.7")))
    data = structures(own, frame("9.1"), rois=["1.1", "1.1", "9.1"], contours=named)
    assert reported(data) == (("1.1",), ("1.2",), ("1.7",))


def test_nothing_named_is_nothing():
    assert reported(Dataset()) == ((), (), ())
    assert reported(structures(frame("1.1"))) == (("1.1",), (), ())
