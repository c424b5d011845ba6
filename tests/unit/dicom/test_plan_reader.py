"""A plan is understood whole, or refused by name."""

from __future__ import annotations

import io
import math
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_images import add_ct, add_structures
from mqi_communicator.demo.sample_kinds import uids_of
from mqi_communicator.demo.sample_plan import add_plan
from mqi_communicator.demo.truth import TINY
from mqi_communicator.dicom.plan import read_plan, sound_plan
from mqi_communicator.dicom.problem import DicomProblem


def _plan_file() -> bytes:
    """A sample's plan, its spots a little closer, so that each layer has several."""
    draft = Draft(replace(TINY, spot_spacing=7.0), uids_of("pass", "tiny", 1))
    add_ct(draft)
    add_structures(draft)
    add_plan(draft)
    return encode(draft.object("RP.dcm"))


BYTES = _plan_file()


@pytest.fixture
def plan():
    return pydicom.dcmread(io.BytesIO(BYTES))


@pytest.fixture
def read(tmp_path, plan):
    def save_and_read():
        plan.save_as(tmp_path / "RP.dcm")
        return sound_plan(tmp_path / "RP.dcm")

    return save_and_read


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def points(plan):
    return plan.IonBeamSequence[0].IonControlPointSequence


def test_good_plan_says_what_the_file_says(plan, read):
    got = read()
    assert [beam.number for beam in got.beams] == [int(b.BeamNumber) for b in plan.IonBeamSequence]
    beam, raw = got.beams[0], plan.IonBeamSequence[0]
    assert beam.meterset == float(plan.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset)
    assert beam.final_cumulative_weight == float(raw.FinalCumulativeMetersetWeight) != beam.meterset
    assert len(beam.layers) == len(raw.IonControlPointSequence) // 2
    assert beam.isocenter == tuple(map(float, points(plan)[0].IsocenterPosition))
    layer = beam.layers[0]
    assert layer.spots[1].tolist() == list(points(plan)[0].ScanSpotPositionMap[2:4])
    assert layer.weights.tolist() == list(points(plan)[0].ScanSpotMetersetWeights)
    total = sum(float(each.weights.sum()) for each in beam.layers) * beam.mu_per_weight
    assert total == pytest.approx(beam.meterset, rel=1e-3)
    assert got.fractions == int(plan.FractionGroupSequence[0].NumberOfFractionsPlanned)


def test_a_snout_position_is_read_where_the_plan_names_one(plan, read):
    first = points(plan)[0]
    first.SnoutPosition = 412.5
    assert read().beams[0].snout_position == 412.5
    first.SnoutPosition = None
    assert read().beams[0].snout_position is None
    del first.SnoutPosition
    assert read().beams[0].snout_position is None


def test_single_spot_layer(plan, read):
    first, second, third = points(plan)[0], points(plan)[1], points(plan)[2]
    total = math.fsum(first.ScanSpotMetersetWeights)
    for point, weight in ((first, total), (second, 0.0)):
        point.NumberOfScanSpotPositions = 1
        point.ScanSpotPositionMap = [1.0, 2.0]
        point.ScanSpotMetersetWeights = weight
    assert third.NumberOfScanSpotPositions > 1
    assert read().beams[0].layers[0].spots.tolist() == [[1.0, 2.0]]


def test_setup_beam_is_left_out_and_numbers_stay(plan, read):
    plan.IonBeamSequence[0].TreatmentDeliveryType = "SETUP"
    del plan.IonBeamSequence[0].IonControlPointSequence[0].ScanSpotPositionMap
    assert [beam.number for beam in read().beams] == [int(b.BeamNumber) for b in plan.IonBeamSequence[1:]]


def beam_value(keyword, value):
    return lambda plan: setattr(plan.IonBeamSequence[0], keyword, value)


def point_value(index, keyword, value):
    return lambda plan: setattr(points(plan)[index], keyword, value)


def spoil_weight(value):
    def spoil(plan):
        weights = list(points(plan)[0].ScanSpotMetersetWeights)
        weights[0] = value
        points(plan)[0].ScanSpotMetersetWeights = weights

    return spoil


def no_treatment(plan):
    for beam in plan.IonBeamSequence:
        beam.TreatmentDeliveryType = "SETUP"


def second_group(plan):
    plan.FractionGroupSequence.append(plan.FractionGroupSequence[0])


def last_with_weight(plan):
    points(plan)[-1].ScanSpotMetersetWeights = list(points(plan)[-2].ScanSpotMetersetWeights)


def middle_with_weight(plan):
    points(plan)[1].ScanSpotMetersetWeights = list(points(plan)[0].ScanSpotMetersetWeights)


def no_meterset(plan):
    del plan.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset


def not_in_group(plan):
    del plan.FractionGroupSequence[0].ReferencedBeamSequence[0]


def group_names_stranger(plan):
    plan.FractionGroupSequence[0].ReferencedBeamSequence.append(item(ReferencedBeamNumber=77, BeamMeterset=1))


def group_names_twice(plan):
    references = plan.FractionGroupSequence[0].ReferencedBeamSequence
    references.append(references[0])


def no_energy(plan):
    del points(plan)[0].NominalBeamEnergy


def energy_within_pair(plan):
    points(plan)[1].NominalBeamEnergy = 99.0


def zero_weights(plan):
    for point in points(plan):
        point.ScanSpotMetersetWeights = [0.0] * int(point.NumberOfScanSpotPositions)
        point.CumulativeMetersetWeight = 0


def structure_set_without_uid(plan):
    del plan.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID


def reference_without_number(plan):
    plan.FractionGroupSequence[0].ReferencedBeamSequence[0].ReferencedBeamNumber = None


def no_structure_set(plan):
    del plan.ReferencedStructureSetSequence


def fractions(value):
    return lambda plan: setattr(plan.FractionGroupSequence[0], "NumberOfFractionsPlanned", value)


def no_points(plan):
    plan.IonBeamSequence[0].IonControlPointSequence = Sequence([])
    plan.IonBeamSequence[0].NumberOfControlPoints = 0


REFUSED = {
    "no beams": (lambda plan: setattr(plan, "IonBeamSequence", Sequence([])), "no treatment beam", "plan.no_beams"),
    "setup only": (no_treatment, "no treatment beam (2 beams in total", "plan.no_beams"),
    "photon class": (
        lambda plan: setattr(plan.file_meta, "MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.481.5"),
        "an RT Plan (photons or electrons), expected an RT Ion Plan",
        "plan.not_ion",
    ),
    "no isocentre": (point_value(0, "IsocenterPosition", None), "IsocenterPosition (300A,012C) is missing", ""),
    "no gantry": (point_value(0, "GantryAngle", None), "GantryAngle (300A,011E) is missing", "dicom.missing"),
    "two groups": (second_group, "2 fraction groups (300A,0070), expected exactly 1", "plan.fraction_groups"),
    "stranger in group": (group_names_stranger, "refers to beam 77", "plan.beams"),
    "twice in group": (group_names_twice, "refers to a beam twice", "plan.fraction_groups"),
    "no fractions": (fractions(None), "NumberOfFractionsPlanned (300A,0078) is missing", "dicom.missing"),
    "zero fractions": (fractions(0), "is 0, expected 1 or more", "plan.fractions"),
    "no control points": (no_points, "0 control points", "beam.control_points"),
    "wrong count": (beam_value("NumberOfControlPoints", 3), "is 3", "beam.control_points"),
    "last weighted": (last_with_weight, "the spot weights add up to", "beam.weights"),
    "second weighted": (middle_with_weight, "CumulativeMetersetWeight (300A,0134) is", "beam.weights"),
    "no spots": (point_value(0, "ScanSpotPositionMap", None), "the layer has no spots", "beam.no_spots"),
    "zero weights": (zero_weights, "no spot of the beam has a weight", "beam.no_spots"),
    "negative": (spoil_weight(-1.0), "a spot weight (300A,0396) is -1", "beam.weights"),
    "nan": (spoil_weight(math.nan), "a spot weight (300A,0396) is nan", "beam.weights"),
    "infinite": (spoil_weight(math.inf), "a spot weight (300A,0396) is inf", "beam.weights"),
    "map too short": (point_value(0, "ScanSpotPositionMap", [1.0, 2.0]), "coordinates (two per spot)", ""),
    "count wrong": (point_value(0, "NumberOfScanSpotPositions", 1), "is 1, but there are", "beam.spot_count"),
    "no energy": (no_energy, "NominalBeamEnergy (300A,0114) is missing", "dicom.missing"),
    "odd energy": (point_value(0, "NominalBeamEnergy", 150e3), "expected MeV of a proton", "beam.energy"),
    "energy in pair": (energy_within_pair, "the energy changes from", "beam.energy"),
    "weights lie": (spoil_weight(50.0), "the sum of the preceding spot weights", "beam.weights"),
    "cumulative lies": (point_value(2, "CumulativeMetersetWeight", 50), "control point 2: Cumulative", "beam.weights"),
    "cumulative none": (point_value(2, "CumulativeMetersetWeight", None), "(300A,0134) is missing", "dicom.missing"),
    "final lies": (beam_value("FinalCumulativeMetersetWeight", 77), "FinalCumulativeMetersetWeight", "beam.weights"),
    "no final": (beam_value("FinalCumulativeMetersetWeight", None), "(300A,010E) is missing", "dicom.missing"),
    "no meterset": (no_meterset, "BeamMeterset (300A,0086) is missing", "dicom.missing"),
    "not in group": (not_in_group, "the fraction group does not refer to this beam", "beam.meterset"),
    "numbers twice": (beam_value("BeamNumber", 2), "BeamNumber (300A,00C0) 2 is used for several", "plan.beam_numbers"),
    "structure set without UID": (structure_set_without_uid, "refers to 0 structure sets", "plan.structure_set"),
    "reference without number": (
        reference_without_number,
        "ReferencedBeamNumber (300C,0006) is missing",
        "dicom.missing",
    ),
    "no structure set": (no_structure_set, "refers to 0 structure sets", "plan.structure_set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case, plan, read):
    spoil, words, code = REFUSED[case]
    spoil(plan)
    with pytest.raises(DicomProblem) as reported:
        read()
    assert words in reported.value.reason
    assert "RP.dcm" in reported.value.reason
    assert reported.value.code == code or not code
    assert reported.value.advice


def test_a_beam_is_blamed_by_number_and_name(plan, read):
    plan.IonBeamSequence[1].FinalCumulativeMetersetWeight = None
    plan.IonBeamSequence[1].BeamName = "odd\x1b[31m name"
    with pytest.raises(DicomProblem) as reported:
        read()
    assert reported.value.reason.startswith(f"RP.dcm, beam {plan.IonBeamSequence[1].BeamNumber} (odd")
    assert "\x1b" not in reported.value.reason


def test_all_reasons_are_collected_each_with_file_place_found_and_expected(plan, tmp_path):
    del plan.ReferencedStructureSetSequence
    points(plan)[0].NominalBeamEnergy = 150e3
    plan.IonBeamSequence[1].FinalCumulativeMetersetWeight = 0
    plan.save_as(tmp_path / "RP.dcm")
    _, problems = read_plan(tmp_path / "RP.dcm")
    assert [one.code for one in problems] == ["plan.structure_set", "beam.energy", "beam.energy", "beam.meterset"]
    assert {one.file for one in problems} == {"RP.dcm"}
    assert problems[-1].where == "beam 2 (F2 left)"
    assert str(problems[1]) == (
        "RP.dcm, beam 1 (F1 anterior), control point 0: NominalBeamEnergy (300A,0114) is 150000, "
        "expected MeV of a proton"
    )
    assert all(one.advice for one in problems)


def test_a_damaged_weight_is_one_reason_not_one_for_each_control_point(plan, read):
    spoil_weight(-1.0)(plan)
    with pytest.raises(DicomProblem) as reported:
        read()
    assert "reasons" not in reported.value.reason


def single_points(plan, *, cumulative):
    """One control point per layer, as OpenTPS writes them."""
    for beam in plan.IonBeamSequence:
        kept = beam.IonControlPointSequence[::2]
        for index, point in enumerate(kept):
            point.ControlPointIndex = index
            point.CumulativeMetersetWeight = point.CumulativeMetersetWeight if cumulative else None
        beam.IonControlPointSequence = Sequence(kept)
        beam.NumberOfControlPoints = len(kept)


@pytest.mark.parametrize("cumulative", [True, False])
def test_one_control_point_per_layer_gives_the_same_layers(plan, read, cumulative):
    before = read()
    single_points(plan, cumulative=cumulative)
    for mine, other in zip(read().beams, before.beams, strict=True):
        assert [layer.energy for layer in mine.layers] == [layer.energy for layer in other.layers]
        for a, b in zip(mine.layers, other.layers, strict=True):
            assert np.array_equal(a.spots, b.spots)
            assert np.array_equal(a.weights, b.weights)


def test_a_layer_that_is_left_out_of_single_control_points_is_seen(plan, read):
    single_points(plan, cumulative=False)
    points(plan).pop()
    plan.IonBeamSequence[0].NumberOfControlPoints -= 1
    with pytest.raises(DicomProblem, match="the spot weights add up to"):
        read()


def test_a_layer_without_weight_is_none(plan, read):
    count = len(read().beams[0].layers)
    for index in (0, 1):
        added = deepcopy(points(plan)[0])
        added.ScanSpotMetersetWeights = [0.0] * int(added.NumberOfScanSpotPositions)
        added.CumulativeMetersetWeight = 0
        points(plan).insert(index, added)
    plan.IonBeamSequence[0].NumberOfControlPoints += 2
    assert len(read().beams[0].layers) == count


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"], ids=["implicit", "explicit"])
def test_many_spots_in_a_layer(plan, tmp_path, syntax):
    """Explicit VR has 2 bytes for the length of FL: above 65 534 bytes it is written as UN (PS3.5 6.2.2)."""
    count = 17_000
    total = math.fsum(points(plan)[0].ScanSpotMetersetWeights)
    for point, weight in ((points(plan)[0], total / count), (points(plan)[1], 0.0)):
        point.NumberOfScanSpotPositions = count
        point.ScanSpotPositionMap = [float(value) for value in np.linspace(-50, 50, 2 * count)]
        point.ScanSpotMetersetWeights = [weight] * count
    plan.file_meta.TransferSyntaxUID = syntax
    explicit = syntax.endswith(".1")
    with pytest.warns(UserWarning, match="VR is changed from 'FL' to 'UN'") if explicit else nullcontext():
        plan.save_as(tmp_path / "RP.dcm", implicit_vr=not explicit, little_endian=True)
    content = (tmp_path / "RP.dcm").read_bytes()
    assert (b"\x0a\x30\x94\x03UN" in content, b"\x0a\x30\x96\x03UN" in content) == (explicit, explicit)
    layer = sound_plan(tmp_path / "RP.dcm").beams[0].layers[0]
    assert layer.spots.shape == (count, 2)
    assert layer.spots[-1].tolist() == pytest.approx([50 - 100 / (2 * count - 1), 50], rel=1e-6)
    assert layer.weights.sum() == pytest.approx(total, rel=1e-5)


def test_a_beam_numbered_below_one_gets_another_number_and_keeps_its_own(plan, read):
    plan.IonBeamSequence[0].BeamNumber = 0
    plan.FractionGroupSequence[0].ReferencedBeamSequence[0].ReferencedBeamNumber = 0
    got = read()
    assert [(beam.number, beam.own_number) for beam in got.beams] == [(3, 0), (2, 2)]
    assert (got.number_of(0), got.number_of(2), got.number_of(3)) == (3, 2, None)


def test_a_value_that_is_no_number_is_damage_not_a_crash(plan, tmp_path):
    plan.IonBeamSequence[0].BeamNumber = 8
    plan.save_as(tmp_path / "RP.dcm")
    content = (tmp_path / "RP.dcm").read_bytes()
    (tmp_path / "RP.dcm").write_bytes(content.replace(b"\xc0\x00IS\x02\x008 ", b"\xc0\x00IS\x02\x00xy"))
    with pytest.raises(DicomProblem, match="an element has an unreadable value"):
        read_plan(tmp_path / "RP.dcm")
