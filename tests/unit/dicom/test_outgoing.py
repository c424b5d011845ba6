"""What leaves the house is made anew: it says what was meant, the same each time, and nothing of where it came from."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.dicom.decimal_string import decimal
from mqi_communicator.dicom.outgoing import NOBODY, sent_uid
from mqi_communicator.dicom.outgoing_ct import ct_content, ct_files, whole_hounsfield
from mqi_communicator.dicom.outgoing_names import beam_name
from mqi_communicator.dicom.outgoing_plan import SentBeam, SentLayer, plan_file
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Grid

pytestmark = pytest.mark.pure

GRID = Grid((2, 3, 4), (-10.25, 20.0, -30.34), (2.0, 2.0, 1.32))
HU = np.arange(24, dtype=np.int16).reshape(GRID.shape) - 1000
CONTENT = ct_content(GRID, HU)


def opened(data: bytes):
    return pydicom.dcmread(BytesIO(data))


def slices(grid=GRID, hu=HU):
    return [opened(data) for _, data in sorted(ct_files(grid, hu, ct_content(grid, hu)).items())]


def sent_beam(number=2, **changes) -> SentBeam:
    layers = (
        SentLayer(150.0, np.array([[1.5, -2.5], [3.0, 4.0]]), np.array([1.25, 2.5], np.float32)),
        SentLayer(120.5, np.array([[0.0, 0.0]]), np.array([3.0], np.float32)),
    )
    return replace(SentBeam(number, "G1", 123.4, 10.0, (1.0, 2.0, 3.0), 410.0, (2000.0, 1800.0), layers), **changes)


def beams_of(*beams: SentBeam):
    return opened(plan_file(beams or (sent_beam(),), CONTENT))


def test_slices_say_grid_and_values():
    first, second = slices()
    assert [float(v) for v in first.ImagePositionPatient] == [-10.25, 20.0, -30.34]
    assert float(second.ImagePositionPatient[2]) == pytest.approx(-30.34 + 1.32)
    assert [float(v) for v in first.PixelSpacing] == [2.0, 2.0]
    assert float(first.SliceThickness) == 1.32
    assert (np.stack([ds.pixel_array for ds in (first, second)]) == HU).all()
    assert first.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.floats(0.3, 5.0),
    st.floats(0.3, 5.0),
)
def test_any_grid_survives(shape, origin, side, step):
    grid = Grid(shape, origin, (side, side, step))
    made = slices(grid, np.zeros(shape, np.int16))
    for index, ds in enumerate(made):
        place = [float(v) for v in ds.ImagePositionPatient]
        assert place == pytest.approx([origin[0], origin[1], origin[2] + index * step], abs=1e-6)
        assert float(ds.PixelSpacing[0]) == pytest.approx(side, rel=1e-9)
        assert float(ds.SliceThickness) == pytest.approx(step, rel=1e-9)


@pytest.mark.parametrize("value", [9.999999999999998, -9.99999999999999, 99.99999999999999, 0.1 + 0.2, -1e-300, 0.0])
def test_a_decimal_string_has_no_more_than_16_characters(value):
    assert len(decimal(value)) <= 16
    assert float(decimal(value)) == pytest.approx(value, rel=1e-9)


def test_hounsfield_units_are_rounded_to_the_nearest_whole():
    volume = CTVolume(GRID, (HU + 0.4).astype(np.float32), "F", "S", (), "")
    assert (whole_hounsfield(volume) == HU).all()
    hot = volume.hu.copy()
    hot[0, 0, 0] = 32768
    with pytest.raises(DicomProblem, match="32768 HU"):
        whole_hounsfield(replace(volume, hu=hot))


def test_beams_stand_at_their_number_with_fillers_of_no_weight():
    plan = beams_of(sent_beam(2), sent_beam(4))
    assert [(int(b.BeamNumber), b.BeamName) for b in plan.IonBeamSequence] == [
        (1, "unused_1"),
        (2, beam_name(2)),
        (3, "unused_3"),
        (4, beam_name(4)),
    ]
    for filler in (plan.IonBeamSequence[0], plan.IonBeamSequence[2]):
        assert [float(p.ScanSpotMetersetWeights) for p in filler.IonControlPointSequence] == [0.0, 0.0]
    assert not [b for b in plan.IonBeamSequence if "setup" in b.BeamName.lower() or b.TreatmentDeliveryType == "SETUP"]


def test_control_points_come_in_pairs_and_each_says_everything():
    points = beams_of().IonBeamSequence[1].IonControlPointSequence
    assert [float(p.NominalBeamEnergy) for p in points] == [150.0, 150.0, 120.5, 120.5]
    assert [float(p.CumulativeMetersetWeight) for p in points] == [0.0, 3.75, 3.75, 6.75]
    assert list(points[0].ScanSpotMetersetWeights) == [1.25, 2.5]
    assert list(points[1].ScanSpotMetersetWeights) == [0.0, 0.0]
    for point in points:
        assert point.ScanSpotTuneID
        assert len(point.ScanningSpotSize) == 2


def test_weights_are_monitor_units_whichever_way_they_are_scaled():
    plan = beams_of()
    (reference,) = plan.FractionGroupSequence[0].ReferencedBeamSequence
    assert float(reference.BeamMeterset) == float(plan.IonBeamSequence[1].FinalCumulativeMetersetWeight) == 6.75
    assert int(plan.FractionGroupSequence[0].NumberOfFractionsPlanned) == 1


def test_the_aim_is_the_first_control_points():
    first = beams_of().IonBeamSequence[1].IonControlPointSequence[0]
    assert [float(v) for v in first.IsocenterPosition] == [1.0, 2.0, 3.0]
    assert (float(first.GantryAngle), float(first.PatientSupportAngle)) == (123.4, 10.0)
    assert (float(first.SnoutPosition), float(first.BeamLimitingDeviceAngle)) == (410.0, 0.0)


@pytest.mark.parametrize("number", [0, 1001])
def test_a_beam_number_beyond_all_reason_is_refused(number):
    with pytest.raises(DicomProblem, match="expected 1 to 1000"):
        plan_file([sent_beam(1), sent_beam(number)], CONTENT)


def test_everything_is_of_nobody():
    for ds in (*slices(), beams_of()):
        assert ds.PatientName == NOBODY
        assert (ds.PatientBirthDate, ds.StudyDate, ds.AccessionNumber, ds.ReferringPhysicianName) == ("", "", "", "")
        assert not [
            e for e in ds.iterall() if e.tag.is_private or (e.VR in ("DT", "TM", "DA", "LT", "ST", "UT") and e.value)
        ]


def test_the_same_content_has_the_same_uids_and_other_content_others():
    again, other = slices(), slices(hu=HU + 1)
    assert [ds.SOPInstanceUID for ds in slices()] == [ds.SOPInstanceUID for ds in again]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert not {ds[keyword].value for ds in again} & {ds[keyword].value for ds in other}
    assert beams_of().SOPInstanceUID == beams_of().SOPInstanceUID
    assert beams_of().SOPInstanceUID != beams_of(sent_beam(gantry_angle=123.5)).SOPInstanceUID


def test_a_plan_of_other_spots_on_the_same_ct_is_another_plan():
    moved = SentLayer(150.0, np.array([[1.5, -2.4], [3.0, 4.0]]), np.array([1.25, 2.5], np.float32))
    assert beams_of().SOPInstanceUID != beams_of(sent_beam(layers=(moved, sent_beam().layers[1]))).SOPInstanceUID


def test_all_objects_of_a_case_belong_together():
    objects = [*slices(), beams_of()]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({ds[keyword].value for ds in objects}) == 1
    assert len({ds.SOPInstanceUID for ds in objects}) == len(objects)


@given(st.binary(max_size=40), st.integers(0, 9999))
def test_uids_are_valid(content, index):
    uid = pydicom.uid.UID(sent_uid(content, "CT", index))
    assert uid.is_valid
    assert len(uid) <= 64


def test_a_layer_of_more_than_8191_spots_is_written_as_un_and_has_the_same_bytes():
    spots = np.linspace(-50, 50, 40_000).astype(np.float32).reshape(-1, 2)
    weights = np.linspace(1, 2, 20_000).astype(np.float32)
    (_, beam) = beams_of(sent_beam(layers=(SentLayer(150.0, spots.astype(float), weights),))).IonBeamSequence
    first, second = beam.IonControlPointSequence
    for point in (first, second):
        assert (point["ScanSpotPositionMap"].VR, point["ScanSpotMetersetWeights"].VR) == ("UN", "UN")
        assert point.ScanSpotPositionMap == spots.astype("<f4").tobytes()
        assert point.NumberOfScanSpotPositions == 20_000
    assert first.ScanSpotMetersetWeights == weights.astype("<f4").tobytes()
    assert second.ScanSpotMetersetWeights == bytes(80_000)
