"""Apertures as planning systems write them, and contradictions in them."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from tests.unit.dicom.test_plan_reader import BYTES, item

from mqi_communicator.dicom.plan import read_plan

SQUARE = (-30.0, -30.0, 30.0, -30.0, 30.0, 30.0, -30.0, 30.0)


def block(outline=SQUARE, **changes):
    values = {
        "BlockType": "APERTURE",
        "BlockDivergence": "ABSENT",
        "BlockMountingPosition": "PATIENT_SIDE",
        "IsocenterToBlockTrayDistance": 300.0,
        "MaterialID": "BRASS",
        "BlockThickness": 65.0,
        "BlockNumberOfPoints": len(outline) // 2,
        "BlockData": list(outline),
        **changes,
    }
    return item(**{name: value for name, value in values.items() if value is not None})


@pytest.fixture
def read(tmp_path):
    """The first beam of a plan with these blocks, and the problems of the plan."""

    def with_blocks(*blocks, change=None):
        plan = pydicom.dcmread(io.BytesIO(BYTES))
        beam = plan.IonBeamSequence[0]
        beam.NumberOfBlocks, beam.IonBlockSequence = len(blocks), list(blocks)
        if change:
            change(beam)
        plan.save_as(tmp_path / "RP.dcm")
        got, problems = read_plan(tmp_path / "RP.dcm")
        return got.beams[0], [str(one) for one in problems]

    return with_blocks


@pytest.mark.parametrize(("mounting", "downstream"), [("PATIENT_SIDE", 235.0), ("SOURCE_SIDE", 300.0)])
def test_one_opening(read, mounting, downstream):
    beam, problems = read(block(BlockMountingPosition=mounting))
    (one,) = beam.apertures
    assert problems == []
    assert (one.distance, one.thickness, one.material, one.downstream) == (300.0, 65.0, "BRASS", downstream)
    assert np.array_equal(one.outlines[0], np.reshape(SQUARE, (-1, 2)))
    assert len(one.outlines) == 1
    assert beam.limiting_angle == 0.0


def test_an_outline_may_repeat_its_first_corner(read):
    beam, problems = read(block((*SQUARE, *SQUARE[:2])))
    assert problems == []
    assert len(beam.apertures[0].outlines[0]) == 4


def test_items_at_one_place_are_openings_of_one_aperture_and_others_are_further_apertures(read):
    beam, problems = read(block(), block(), block(IsocenterToBlockTrayDistance=400.0))
    assert problems == []
    assert [len(one.outlines) for one in beam.apertures] == [2, 1]


def test_a_block_that_shields_is_no_aperture(read):
    beam, problems = read(block(BlockType="SHIELDING"))
    assert problems == []
    assert beam.apertures == ()
    assert [one.kind for one in beam.devices] == ["shielding block"]


def test_the_angle_of_the_beam_limiting_device_is_read(read):
    beam, problems = read(
        block(), change=lambda beam: setattr(beam.IonControlPointSequence[0], "BeamLimitingDeviceAngle", 90.0)
    )
    assert problems == []
    assert beam.limiting_angle == 90.0


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (block(BlockNumberOfPoints=5), "BlockNumberOfPoints (300A,0104) is 5, but BlockData (300A,0106) has 8 numbers"),
        (block(BlockData=None), "BlockNumberOfPoints (300A,0104) is 4, but BlockData (300A,0106) has 0 numbers"),
        (block(SQUARE[:4]), "BlockData (300A,0106) encloses no area: 2 distinct corners"),
        (block((0.0, 0.0, 10.0, 10.0, 20.0, 20.0)), "encloses no area: 3 distinct corners"),
        (block(BlockMountingPosition=None), "BlockMountingPosition (300A,00FB) is missing"),
        (block(BlockMountingPosition="LEFT"), "BlockMountingPosition (300A,00FB) is LEFT, expected PATIENT_SIDE or"),
        (block(BlockType=None), "BlockType (300A,00F8) is missing, expected APERTURE or SHIELDING"),
        (block(IsocenterToBlockTrayDistance=None), "IsocenterToBlockTrayDistance (300A,00F7) is missing"),
        (block(BlockThickness=0.0), "BlockThickness (300A,0100) is 0, expected more than 0 mm"),
    ],
)
def test_what_contradicts_itself_is_a_problem(read, bad, words):
    beam, problems = read(bad)
    assert [one for one in problems if words in one and "beam 1 (F1 anterior), block 1" in one], problems
    assert beam.apertures == ()


def test_the_number_of_blocks_is_that_of_the_items(read):
    _, problems = read(block(), change=lambda beam: setattr(beam, "NumberOfBlocks", 2))
    assert "1 items in IonBlockSequence (300A,03A6), NumberOfBlocks (300A,00F0) is 2" in problems[0]


def test_an_aperture_that_turns_is_a_problem(read):
    def turn(beam):
        beam.IonControlPointSequence[2].BeamLimitingDeviceAngle = 10.0

    _, problems = read(block(), change=turn)
    assert "BeamLimitingDeviceAngle (300A,0120) changes from 0 to 10 degrees at control point 2" in problems[0]
