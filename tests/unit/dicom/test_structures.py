"""A structure set is described: its CT, its frames of reference, and what has physical properties of its own."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.written import FILES

from mqi_communicator.dicom.contours import read_contours
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.structures import read_structures


@pytest.fixture
def data():
    return pydicom.dcmread(io.BytesIO(FILES["RS.dcm"]))


@pytest.fixture
def read(tmp_path):
    def save_and_read(data):
        data.save_as(tmp_path / "RS.dcm")
        return read_structures(tmp_path / "RS.dcm")

    return save_and_read


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def override(data, index=0, **properties):
    data.RTROIObservationsSequence[index].ROIPhysicalPropertiesSequence = [
        item(ROIPhysicalProperty=name, ROIPhysicalPropertyValue=value) for name, value in properties.items()
    ]


def test_a_second_frame_of_reference_that_nothing_is_drawn_in_is_none_of_the_cts(data, read):
    own = data.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID
    slices = read(data).ct_uids
    data.ReferencedFrameOfReferenceSequence.insert(0, item(FrameOfReferenceUID="2.25.9"))
    got = read(data)
    assert (got.frames, got.frame_of_reference_uid, got.ct_uids) == ((own,), own, slices)
    assert len(got.series_uids) == 1


def test_slices_that_the_contours_alone_name(data, read):
    named = read(data)
    drawn = {
        image.ReferencedSOPInstanceUID
        for roi in data.ROIContourSequence
        for contour in roi.ContourSequence
        for image in contour.ContourImageSequence
    }
    frame = data.ReferencedFrameOfReferenceSequence[0]
    del frame.RTReferencedStudySequence
    got = read(data)
    assert set(got.ct_uids) == drawn
    assert drawn <= set(named.ct_uids)
    assert got.frames == named.frames
    assert got.series_uids == ()


def test_properties_are_described_with_their_contours(data, read):
    override(data, 1, REL_MASS_DENSITY=1.02, REL_ELEC_DENSITY=0.9915)
    external, one = read(data).rois
    assert (external.number, external.kind, external.properties) == (1, "EXTERNAL", ())
    roi = data.StructureSetROISequence[1]
    assert (one.number, one.name) == (roi.ROINumber, roi.ROIName)
    assert one.kind == data.RTROIObservationsSequence[1].RTROIInterpretedType
    assert one.properties == (("REL_MASS_DENSITY", 1.02), ("REL_ELEC_DENSITY", 0.9915))
    drawn = data.ROIContourSequence[1].ContourSequence
    assert len(one.contours) == len(drawn)
    assert one.doubt == ""
    z, corners = one.contours[0]
    lowest = min(drawn, key=lambda contour: float(contour.ContourData[2]))
    np.testing.assert_allclose(np.column_stack([corners, np.full(len(corners), z)]).ravel(), lowest.ContourData)


def test_what_is_not_closed_or_not_axial_has_no_contour(data, read):
    override(data, 0, REL_STOP_RATIO=1.0)
    first, second, *rest = data.ROIContourSequence[0].ContourSequence
    first.ContourGeometricType = "POINT"
    assert len(read(data).rois[0].contours) == 1 + len(rest)
    second.ContourData = [*second.ContourData[:2], float(second.ContourData[2]) + 5, *second.ContourData[3:]]
    (one,) = read(data).rois
    assert len(one.contours) == len(rest)
    assert one.doubt == "its contours are not axial"


def test_a_structure_with_contours_that_are_not_axial_is_not_shown(data, tmp_path):
    """Its areas would be taken for axial ones of another volume."""
    second = data.ROIContourSequence[1].ContourSequence[0]
    x, y, z = (float(value) for value in second.ContourData[:3])
    second.ContourData = [x, y, z, x, y + 9, z, x, y + 9, z + 9, x, y, z + 9]
    data.save_as(tmp_path / "RS.dcm")
    numbers = [roi.ROINumber for roi in data.StructureSetROISequence]
    assert [one.number for one in read_contours(tmp_path / "RS.dcm")] == [numbers[0], *numbers[2:]]


def test_a_structure_of_another_frame_of_reference_is_somewhere_unknown(data, read):
    override(data, 0, REL_STOP_RATIO=1.0)
    data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "2.25.9"
    assert "another frame of reference" in read(data).rois[0].doubt


def test_a_contour_that_is_no_list_of_points_leaves_its_position_unknown(data, read):
    contour = data.ROIContourSequence[0].ContourSequence[1]
    contour.ContourData = contour.ContourData[:-1]
    (one,) = read(data).rois
    assert "ContourData (3006,0050)" in one.doubt


@pytest.mark.parametrize("kind", ["EXTERNAL", "SUPPORT", "FIXATION", "BOLUS"])
def test_the_parts_of_the_body_are_read_without_properties(data, read, kind):
    data.RTROIObservationsSequence[2].RTROIInterpretedType = kind
    assert [(one.number, one.kind, bool(one.contours)) for one in read(data).rois] == [
        (1, "EXTERNAL", True),
        (3, kind, True),
    ]


def test_a_property_without_a_value_is_no_number(data, read):
    override(data, 0, REL_STOP_RATIO="")
    ((name, value),) = read(data).rois[0].properties
    assert name == "REL_STOP_RATIO"
    assert np.isnan(value)


def test_a_structure_set_without_a_ct_is_refused_by_name(data, read):
    for roi in data.ROIContourSequence:
        for contour in roi.ContourSequence:
            del contour.ContourImageSequence
    del data.ReferencedFrameOfReferenceSequence
    with pytest.raises(DicomProblem, match=r"RS\.dcm refers to no CT slice") as caught:
        read(data)
    assert caught.value.code == "structures.no_ct"


def test_a_structure_set_without_a_frame_of_reference_is_refused_by_name(data, read):
    for roi in data.StructureSetROISequence:
        del roi.ReferencedFrameOfReferenceUID
    del data.ReferencedFrameOfReferenceSequence
    with pytest.raises(DicomProblem, match="has no frame of reference") as caught:
        read(data)
    assert caught.value.code == "structures.frames"


def test_a_plan_is_no_structure_set(tmp_path):
    name = next(name for name in FILES if name.startswith("RP"))
    (tmp_path / "RS.dcm").write_bytes(FILES[name])
    with pytest.raises(DicomProblem, match="not an RT Structure Set"):
        read_structures(tmp_path / "RS.dcm")


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", ["nan", "inf", "-1e9", "1e300"])
def test_a_contour_point_that_is_nowhere_leaves_the_position_unknown(data, read, place, value):
    """The case failed without a reason, or took all memory of a worker, and was tried again."""
    number = data.RTROIObservationsSequence[0].ReferencedROINumber
    override(data, REL_STOP_RATIO="1.1")
    (drawn,) = [one for one in data.ROIContourSequence if one.ReferencedROINumber == number]
    points = [str(one) for one in drawn.ContourSequence[0].ContourData]
    points[place] = value
    drawn.ContourSequence[0].ContourData = points
    (got,) = [one for one in read(data).rois if one.number == number]
    assert got.doubt == "a point of its contours is not within 5000 mm of the origin"
    assert all(np.isfinite(corners).all() for _, corners in got.contours)
