"""RT Ion Beams Treatment Records as systems write them: read whole, or refused by name."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from tests.delivered import plan_bytes, plan_in, records, write

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.treatment_record import read_treatment_record


@pytest.fixture
def plan(tmp_path):
    return plan_in(tmp_path)[1]


def beams_of(record):
    return record.TreatmentSessionIonBeamSequence


def points_of(record, beam=0):
    return beams_of(record)[beam].IonControlPointDeliverySequence


def many(value):
    """A multi-valued element as a list, also where it has one value."""
    return [float(one) for one in np.atleast_1d(value)]


def read(tmp_path, record):
    (path,) = write(tmp_path, [record])
    return read_treatment_record(path)


def codes(problems):
    return {problem.code for problem in problems}


def test_a_record_is_read_spot_by_spot(tmp_path, plan):
    (record,) = records(plan)
    found, problems = read(tmp_path, record)
    assert not problems
    assert (found.plan_uid, found.machine) == (plan.sop_instance_uid, "MQI-DEMO")
    assert found.started == "20200102090000"
    assert [(beam.number, beam.fraction, beam.kind, beam.termination) for beam in found.beams] == [
        (1, 1, "TREATMENT", "NORMAL"),
        (2, 1, "TREATMENT", "NORMAL"),
    ]
    for beam, planned in zip(found.beams, plan.beams, strict=True):
        assert [layer.energy for layer in beam.layers] == [layer.energy for layer in planned.layers]
        assert beam.mu == pytest.approx(planned.meterset, rel=1e-6)
        for layer, of in zip(beam.layers, planned.layers, strict=True):
            assert layer.indices.tolist() == list(range(len(of.weights)))
            assert np.abs(layer.positions - of.spots).max() < 0.7
            assert layer.size == pytest.approx((9.0, 10.0), rel=0.021)


def test_spots_may_be_in_the_first_point_of_a_pair_or_in_single_ones(tmp_path, plan):
    (record,) = records(plan)
    pairs, _ = read(tmp_path, record)
    for beam in beams_of(record):
        points = beam.IonControlPointDeliverySequence
        for first, second in zip(points[::2], points[1::2], strict=True):
            first.ScanSpotMetersetsDelivered, second.ScanSpotMetersetsDelivered = (
                second.ScanSpotMetersetsDelivered,
                first.ScanSpotMetersetsDelivered,
            )
    turned, problems = read(tmp_path, record)
    assert not problems
    for beam in beams_of(record):
        beam.IonControlPointDeliverySequence = beam.IonControlPointDeliverySequence[::2]
    single, problems = read(tmp_path, record)
    assert not problems
    for one, other, third in zip(pairs.beams, turned.beams, single.beams, strict=True):
        assert one.mu == other.mu == third.mu
        assert len(one.layers) == len(other.layers) == len(third.layers)


def test_a_copy_has_the_same_digest(tmp_path, plan):
    (record,) = records(plan)
    (path,) = write(tmp_path, [record])
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(path.read_bytes())
    one, other = read_treatment_record(path)[0], read_treatment_record(copy)[0]
    assert (one.uid, one.digest) == (other.uid, other.digest)


def test_a_setup_beam_is_left_out(tmp_path, plan):
    (record,) = records(plan)
    beams_of(record)[0].TreatmentDeliveryType = "SETUP"
    found, problems = read(tmp_path, record)
    assert not problems
    assert [beam.number for beam in found.beams] == [2]


def test_a_single_spot_is_read_too(tmp_path, plan):
    (record,) = records(plan)
    points = points_of(record)
    beams_of(record)[0].IonControlPointDeliverySequence = points[:2]
    for point in points[:2]:
        mu = many(point.ScanSpotMetersetsDelivered)[:1]
        point.ScanSpotMetersetsDelivered, point.ScanSpotPrescribedIndices = mu, [0]
        point.ScanSpotPositionMap = many(point.ScanSpotPositionMap)[:2]
        point.DeliveredMeterset = None
    beams_of(record)[0].DeliveredPrimaryMeterset = mu[0]
    found, problems = read(tmp_path, record)
    assert not problems
    assert found.beams[0].layers[0].positions.shape == (1, 2)


def test_a_meterset_per_control_point_is_accepted(tmp_path, plan):
    (record,) = records(plan)
    for point in points_of(record):
        point.DeliveredMeterset = f"{sum(many(point.ScanSpotMetersetsDelivered)):.6g}"
    assert not read(tmp_path, record)[1]


def several_plans(record):
    record.ReferencedRTPlanSequence.append(deepcopy(record.ReferencedRTPlanSequence[0]))
    record.ReferencedRTPlanSequence[1].ReferencedSOPInstanceUID = "1.2.3"


def particles(record):
    record.PrimaryDosimeterUnit = "NP"


def weights(record):
    """What was delivered in the unit of the plan's weights."""
    for point in points_of(record):
        point.ScanSpotMetersetsDelivered = [1.25 * mu for mu in many(point.ScanSpotMetersetsDelivered)]


def other_total(record):
    for point in points_of(record):
        point.DeliveredMeterset = f"{1.1 * float(point.DeliveredMeterset):.6g}"


def one_coordinate_short(record):
    points_of(record)[3].ScanSpotPositionMap = many(points_of(record)[3].ScanSpotPositionMap)[:-1]


def one_index_short(record):
    points_of(record)[3].ScanSpotPrescribedIndices = list(points_of(record)[3].ScanSpotPrescribedIndices)[:-1]


def first_spot(record, mu):
    point = points_of(record)[3]
    point.ScanSpotMetersetsDelivered = [mu, *many(point.ScanSpotMetersetsDelivered)[1:]]


def not_a_number(record):
    first_spot(record, np.nan)


def below_zero(record):
    first_spot(record, -1.0)


def portal_film(record):
    beams_of(record)[0].TreatmentDeliveryType = "TRMT_PORTFILM"


def no_spots(record):
    for point in points_of(record):
        del point.ScanSpotMetersetsDelivered


def no_beams(record):
    for beam in beams_of(record):
        beam.TreatmentDeliveryType = "SETUP"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (several_plans, "record.plan", "refers to 2 plans (300C,0002), expected exactly 1"),
        (particles, "record.unit", "PrimaryDosimeterUnit (300A,00B3) is NP, expected MU"),
        (weights, "record.meterset", "DeliveredPrimaryMeterset (3008,0036) is 80, expected 100"),
        (
            other_total,
            "record.meterset",
            "goes from 0 to 88, and the spots add up to 80 MU",
        ),
        (one_coordinate_short, "record.spots", "two coordinates for each"),
        (one_index_short, "record.spots", "expected one index for each"),
        (not_a_number, "record.spots", "is not a number of 0 or more"),
        (below_zero, "record.spots", "is not a number of 0 or more"),
        (portal_film, "record.kind", "is TRMT_PORTFILM, expected TREATMENT or CONTINUATION"),
        (no_spots, "record.no_spots", "no control point has ScanSpotMetersetsDelivered (3008,0047)"),
        (no_beams, "record.no_beams", "no treatment beam"),
    ],
)
def test_a_contradiction_is_reported(tmp_path, plan, change, code, words):
    (record,) = records(plan)
    change(record)
    _, problems = read(tmp_path, record)
    assert code in codes(problems)
    assert any(words in str(problem) for problem in problems), [str(problem) for problem in problems]


def test_all_contradictions_are_reported_at_once(tmp_path, plan):
    (record,) = records(plan)
    particles(record)
    portal_film(record)
    one_index_short(record)
    assert codes(read(tmp_path, record)[1]) >= {"record.unit", "record.kind", "record.spots"}


@pytest.mark.parametrize("content", [plan_bytes(), b"text", b""])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DicomProblem, match="expected an RT Ion Beams Treatment Record"):
        read_treatment_record(path)


def test_a_cut_record_is_refused(tmp_path, plan):
    (path,) = write(tmp_path, records(plan))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DicomProblem, match="ends early"):
        read_treatment_record(path)
