"""How range shifters are set for each layer, as real planning systems write it."""

from __future__ import annotations

import io
import time
from itertools import pairwise

import pydicom
import pytest
from tests.unit.dicom.test_plan_reader import BYTES, item

from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dicom.records import ShifterSetting


@pytest.fixture
def plan():
    return pydicom.dcmread(io.BytesIO(BYTES))


@pytest.fixture
def read(tmp_path, plan):
    """The settings of each layer of the first beam, and the problems of the plan."""

    def save_and_read():
        plan.save_as(tmp_path / "RP.dcm")
        got, problems = read_plan(tmp_path / "RP.dcm")
        return [layer.shifters for layer in got.beams[0].layers], [str(one) for one in problems]

    return save_and_read


def listed(number, name):
    return item(RangeShifterNumber=number, RangeShifterID=name, RangeShifterType="BINARY")


def setting(number, word=None, distance=None, wet=None):
    made = item(ReferencedRangeShifterNumber=number)
    if word is not None:
        made.RangeShifterSetting = word
    if distance is not None:
        made.IsocenterToRangeShifterDistance = distance
    if wet is not None:
        made.RangeShifterWaterEquivalentThickness = wet
    return made


def put(plan, shifters, settings):
    """`settings`: items by index of their control point."""
    beam = plan.IonBeamSequence[0]
    beam.NumberOfRangeShifters, beam.RangeShifterSequence = len(shifters), shifters
    for index, items in settings.items():
        beam.IonControlPointSequence[index].RangeShifterSettingsSequence = items


def test_settings_in_the_first_control_point_alone_hold_for_every_layer(plan, read):
    put(plan, [listed(0, "RS_3CM")], {0: [setting(0, "IN", 135.5, 34.25)]})
    layers, problems = read()
    assert len(layers) > 1
    assert layers == [(ShifterSetting("RS_3CM", "IN", 135.5, 34.25),)] * len(layers)
    assert problems == []


def test_an_element_that_is_missing_has_the_value_of_the_point_before(plan, read):
    put(
        plan, [listed(1, "RS")], {0: [setting(1, "OUT", 200.0, 40.0)], 2: [setting(1, "IN")], 4: [setting(1, wet=57.0)]}
    )
    layers, problems = read()
    assert [one.setting for (one,) in layers[:4]] == ["OUT", "IN", "IN", "IN"]
    assert [one.wet for (one,) in layers[:4]] == [40.0, 40.0, 57.0, 57.0]
    assert {one.distance for (one,) in layers} == {200.0}
    assert problems == []


def test_several_shifters_are_followed_apart(plan, read):
    first, second = listed(0, "A"), listed(1, "B")
    put(
        plan, [first, second], {0: [setting(0, "IN"), setting(1, "OUT")], 2: [setting(1, "IN")], 4: [setting(0, "OUT")]}
    )
    layers, _ = read()
    assert [tuple(f"{one.id} {one.setting}" for one in layer) for layer in layers[:3]] == [
        ("A IN", "B OUT"),
        ("A IN", "B IN"),
        ("A OUT", "B IN"),
    ]


def test_a_shifter_that_is_only_counted_listed_or_set_lacks_what_the_plan_lacks(plan, read):
    put(plan, [listed(0, "A")], {0: [setting(7, "IN", 100.0, 30.0)]})
    plan.IonBeamSequence[0].NumberOfRangeShifters = 2
    layers, _ = read()
    assert set(layers) == {
        (
            ShifterSetting("A", "", None, None),
            ShifterSetting("", "", None, None),
            ShifterSetting("", "IN", 100.0, 30.0),
        )
    }


def test_a_number_that_is_used_twice_names_no_shifter(plan, read):
    put(plan, [listed(0, "A"), listed(0, "B")], {0: [setting(0, "IN", 100.0, 30.0)]})
    layers, _ = read()
    assert [(one.id, one.setting) for one in layers[0]] == [("A", ""), ("B", ""), ("", "IN")]


def test_a_change_between_two_layers_is_read_and_one_within_a_layer_is_a_problem(plan, read):
    put(plan, [listed(0, "A")], {0: [setting(0, "IN")], 1: [setting(0, "IN")], 2: [setting(0, "OUT")]})
    layers, problems = read()
    assert [one.setting for (one,) in layers[:2]] == ["IN", "OUT"]
    assert problems == []
    put(plan, [listed(0, "A")], {3: [setting(0, "IN")]})
    _, (problem,) = read()
    assert "control point 3: RangeShifterSettingsSequence (300A,0360) changes within a layer" in problem


def test_a_snout_that_moves_under_a_range_shifter_is_a_problem(plan, read):
    points = plan.IonBeamSequence[0].IonControlPointSequence
    points[2].SnoutPosition = points[0].SnoutPosition + 10
    assert read()[1] == []
    put(plan, [listed(0, "A")], {0: [setting(0, "IN")]})
    (problem,) = read()[1]
    assert "SnoutPosition (300A,030D) changes from 410 to 420 mm, expected one position" in problem


def test_a_plan_without_range_shifters_has_none(read):
    layers, _ = read()
    assert set(layers) == {()}
    assert len(list(pairwise(layers))) > 1


@pytest.mark.parametrize("kind", ["RangeShifter", "LateralSpreadingDevice"])
def test_more_devices_than_any_machine_has_are_refused_before_they_are_read(plan, read, kind):
    """A plan of 300 kB that counts two thousand million range shifters took all memory of a worker."""
    setattr(plan.IonBeamSequence[0], f"NumberOf{kind}s", 2**31 - 1)
    began = time.monotonic()
    layers, (problem,) = read()
    assert time.monotonic() - began < 5
    assert f"NumberOf{kind}s (300A,0" in problem
    assert "is 2147483647, expected at most 100" in problem
    assert set(layers) == {()}


@pytest.mark.parametrize(
    ("shifters", "settings", "words"),
    [
        (
            [listed(number, "A") for number in range(101)],
            {},
            "NumberOfRangeShifters (300A,0312) is 101, expected at most 100",
        ),
        (
            [listed(0, "A")],
            {
                0: [setting(number, "IN") for number in range(60)],
                1: [setting(number, "IN") for number in range(50, 110)],
            },
            "devices in RangeShifterSettingsSequence (300A,0360) is 110",
        ),
    ],
)
def test_listed_and_set_range_shifters_are_counted_as_well(plan, read, shifters, settings, words):
    put(plan, shifters, settings)
    _, (problem,) = read()
    assert words in problem
