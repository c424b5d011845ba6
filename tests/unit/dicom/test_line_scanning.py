"""Line scanning as Sumitomo and the standard write it: read whole, or refused by name."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.written import FILES

from mqi_communicator.dicom.plan import read_plan, sound_plan
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import LayerKind
from mqi_communicator.dose.abilities import scan_mode

BYTES = FILES["RP.dcm"]
PLACES = [-10.0, 2.0, 10.0, 2.0, 10.0, -2.0, -10.0, -2.0]
SPOT_TAGS = ("NumberOfScanSpotPositions", "ScanSpotPositionMap", "ScanSpotMetersetWeights")
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@pytest.fixture
def plan():
    """The first beam has two layers of one energy, each a line, a way with the beam off, and a line."""
    data = pydicom.dcmread(io.BytesIO(BYTES))
    beam = data.IonBeamSequence[0]
    beam.IonControlPointSequence = Sequence(beam.IonControlPointSequence[:4])
    beam.NumberOfControlPoints, beam.FinalCumulativeMetersetWeight = 4, 8.0
    for index, point in enumerate(beam.IonControlPointSequence):
        point.NominalBeamEnergy = 120.0
        point.CumulativeMetersetWeight = [0.0, 4.0, 4.0, 8.0][index]
        point.NumberOfScanSpotPositions, point.ScanSpotPositionMap = 4, PLACES
        point.ScanSpotMetersetWeights = [0.0] * 4 if index % 2 else [0.0, 1.5, 0.0, 2.5]
    return data


def points(plan) -> Sequence:
    return plan.IonBeamSequence[0].IonControlPointSequence


def standard(plan, mode="LINE", kind=None):
    plan.IonBeamSequence[0].ScanMode = mode
    plan.IonBeamSequence[0].ModulatedScanModeType = kind


def private(plan, *, creator="IMPAC", block=0x10, vr="OB", keep=False):
    """As Sumitomo writes it: in a private block, the standard elements of the spots absent."""
    standard(plan)
    for point in points(plan):
        weights = np.asarray(point.ScanSpotMetersetWeights, "<f4")
        if creator is not None:
            point.add_new((0x300B, block), "LO", creator)
        for element, value in ((0x94, np.asarray(PLACES, "<f4")), (0x96, weights)):
            point.add_new((0x300B, block << 8 | element), vr, value.tolist() if vr == "FL" else value.tobytes())
        point.add_new((0x300B, block << 8 | 0x92), "IS", "4")
        point.add_new((0x300B, block << 8 | 0x9A), "IS", "3")
        for keyword in () if keep else SPOT_TAGS:
            delattr(point, keyword)


@pytest.fixture
def read(tmp_path, plan):
    def save_and_read(syntax=EXPLICIT):
        plan.file_meta.TransferSyntaxUID = syntax
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom changes VR FL above 65 534 bytes to UN
            plan.save_as(tmp_path / "RP.dcm", implicit_vr=syntax == IMPLICIT, little_endian=True)
        return sound_plan(tmp_path / "RP.dcm")

    return save_and_read


def check(beam) -> None:
    assert [(layer.energy, layer.kind) for layer in beam.layers] == [(120.0, LayerKind.LINES)] * 2
    for layer in beam.layers:
        assert layer.spots.tolist() == np.reshape(PLACES, (-1, 2)).tolist()
        assert layer.weights.tolist() == [0.0, 1.5, 0.0, 2.5]


WRITTEN = {
    "IMPAC": {},
    "another block": {"block": 0x11},
    "the last block": {"block": 0xFF},
    "creator with blanks": {"creator": "IMPAC "},
    "creator empty": {"creator": ""},
    "no creator": {"creator": None},
    "as FL": {"vr": "FL"},
    "as UN": {"vr": "UN"},
    "beside the same standard elements": {"keep": True},
}


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("written", WRITTEN)
def test_lines_are_read_from_the_private_block_by_creator(written, syntax, plan, read):
    private(plan, **WRITTEN[written])
    got = read(syntax).beams[0]
    check(got)
    assert scan_mode(got) == "LINE"
    assert got.delivery.paintings == 3


@pytest.mark.parametrize(("mode", "kind"), [("LINE", None), ("MODULATED_SPEC", "LINEAR")])
def test_lines_are_read_from_the_standard_elements(mode, kind, plan, read):
    standard(plan, mode, kind)
    check(read().beams[0])


@pytest.mark.parametrize("kind", ["STATIONARY", "LEAPING"])
def test_other_types_of_modulated_spec_are_spots(kind, plan, read):
    standard(plan, "MODULATED_SPEC", kind)
    assert {layer.kind for layer in read().beams[0].layers} == {LayerKind.SPOTS}


def test_one_control_point_per_layer(plan, read):
    private(plan)
    beam = plan.IonBeamSequence[0]
    beam.IonControlPointSequence, beam.NumberOfControlPoints = Sequence(list(points(plan))[::2]), 2
    check(read().beams[0])


def test_a_second_point_of_a_layer_may_lack_the_lines(plan, read):
    private(plan)
    for point in points(plan)[1::2]:
        for tag in [element.tag for element in point if element.tag.group == 0x300B]:
            del point[tag]
    check(read().beams[0])


def test_a_block_of_another_maker_with_the_same_elements_is_not_read(plan, read):
    private(plan)
    for point in points(plan):
        point.add_new((0x300B, 0x0011), "LO", "SIEMENS CSA HEADER")
        point.add_new((0x300B, 0x1196), "OB", b"\0\0\0\0")
    check(read().beams[0])


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("where", ["standard", "private"])
def test_maps_above_65534_bytes(where, syntax, plan, read, tmp_path):
    """Explicit VR has 2 bytes for the length of FL, so that it is written as UN (PS3.5 6.2.2)."""
    count = 17_000
    (private if where == "private" else standard)(plan)
    for index, point in enumerate(points(plan)):
        places = np.linspace(-50, 50, 2 * count).astype("<f4")
        weights = np.full(count, 0.0 if index % 2 else 4.0 / (count - 1), "<f4")
        weights[0] = 0.0
        if where == "private":
            point[0x300B, 0x1094].value, point[0x300B, 0x1096].value = places.tobytes(), weights.tobytes()
            point[0x300B, 0x1092].value = str(count)
        else:
            point.ScanSpotPositionMap, point.ScanSpotMetersetWeights = places.tolist(), weights.tolist()
            point.NumberOfScanSpotPositions = count
    layer = read(syntax).beams[0].layers[1]
    assert (tmp_path / "RP.dcm").stat().st_size > 4 * 12 * count
    assert layer.spots.shape == (count, 2)
    assert layer.spots[-1].tolist() == pytest.approx([50 - 100 / (2 * count - 1), 50], rel=1e-6)
    assert layer.weights.sum() == pytest.approx(4, rel=1e-5)


def first_weight(plan):
    standard(plan)
    for index in (0, 2):
        points(plan)[index].ScanSpotMetersetWeights = [1.0, 1.0, 0.0, 2.0]


def first_private_weight(plan):
    private(plan)
    points(plan)[0][0x300B, 0x1096].value = np.array([1.0, 1.0, 0.0, 2.0], "<f4").tobytes()


def differs(plan):
    private(plan, keep=True)
    points(plan)[0].ScanSpotMetersetWeights = [0.0, 2.0, 0.0, 2.0]


def in_two_blocks(plan):
    private(plan)
    private_again = points(plan)[0]
    private_again.add_new((0x300B, 0x0020), "LO", "IMPAC")
    private_again.add_new((0x300B, 0x2096), "OB", private_again[0x300B, 0x1096].value)


def positions_missing(plan):
    private(plan)
    del points(plan)[0][0x300B, 0x1094]


def private_value(element, value):
    def spoil(plan):
        private(plan)
        points(plan)[0][0x300B, 0x1000 | element].value = value

    return spoil


REFUSED = {
    "first weight": (
        first_weight,
        "the first of ScanSpotMetersetWeights (300A,0396) is 1 (1 more control points begin with one), expected 0",
        "beam.first_line",
    ),
    "first weight, private": (first_private_weight, "the first of (300B,1096) is 1, expected 0", "beam.first_line"),
    "other creator": (
        lambda plan: private(plan, creator="ACME 1.0"),
        "such elements of the creator ACME 1.0 are not read",
        "beam.no_spots",
    ),
    "standard elements differ": (
        differs,
        "positions or weights in (300B,1094) and (300B,1096) differ",
        "beam.line_spots",
    ),
    "two blocks": (in_two_blocks, "weights of line scanning are in (300B,1096) and (300B,2096)", "beam.line_spots"),
    "no positions": (positions_missing, "(300B,1094) is missing", "beam.no_spots"),
    "count": (private_value(0x92, "5"), "(300B,1092) is 5, but there are 4 weights", "beam.spot_count"),
    "cut short": (private_value(0x94, b"\0" * 30), "(300B,1094) has 30 bytes, expected 4", "beam.spots"),
    "weights do not add up": (
        private_value(0x96, np.array([0, 1, 0, 1], "<f4").tobytes()),
        "expected 2, the sum of the preceding spot weights",
        "beam.weights",
    ),
    "negative": (private_value(0x96, np.array([0, -1, 0, 5], "<f4").tobytes()), "(300B,1096) is -1", "beam.weights"),
    "not finite": (
        private_value(0x94, np.full(8, np.nan, "<f4").tobytes()),
        "(300B,1094) is not a finite",
        "beam.spots",
    ),
}


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_by_name(case, syntax, plan, read):
    spoil, words, code = REFUSED[case]
    spoil(plan)
    with pytest.raises(DicomProblem) as reported:
        read(syntax)
    assert words in reported.value.reason
    assert "beam 1" in reported.value.reason
    assert reported.value.code == code


@pytest.mark.parametrize(("mode", "kind"), [("MODULATED", None), ("MODULATED_SPEC", "LINEAR")])
def test_private_lines_of_another_mode_are_described_and_not_read(mode, kind, plan, tmp_path):
    private(plan)
    standard(plan, mode, kind)
    plan.save_as(tmp_path / "RP.dcm")
    got, _ = read_plan(tmp_path / "RP.dcm")
    assert got.beams[0].layers == ()
    assert "with spots in private elements (300B,xx94), (300B,xx96)" in scan_mode(got.beams[0])


def test_the_largest_number_of_paintings_is_kept(plan, read):
    points(plan)[2].NumberOfPaintings = 5
    assert [beam.delivery.paintings for beam in read().beams] == [5, 1]


def test_a_plan_without_control_points_has_no_lines(plan, tmp_path):
    standard(plan)
    plan.IonBeamSequence[0].IonControlPointSequence = Sequence([])
    plan.IonBeamSequence[0].NumberOfControlPoints = 0
    plan.save_as(tmp_path / "RP.dcm")
    got, problems = read_plan(tmp_path / "RP.dcm")
    assert got.beams[0].layers == ()
    assert "beam.control_points" in [one.code for one in problems]


def test_an_empty_data_set_has_no_line_block():
    from mqi_communicator.dicom.line_block import has_private_spots

    assert not has_private_spots(Dataset())
