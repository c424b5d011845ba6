"""The range shifters of a machine in the configuration: every mistake is named at once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.unit.config.test_config import GOOD, reported, write

from mqi_communicator.config import load
from mqi_communicator.dose.options import MachineOptions
from mqi_communicator.dose.range_shifter import gap_of
from mqi_communicator.dose.range_shifter_options import RangeShifterOptions

SHIFTERS = """\
    range_shifters:
      RS_3CM:
        wet: 34.3
        material: 64
        density: 1.2
        distance: snout + 43
        travel: [50, 400]
        settings: {POSITION1: IN, HOME: OUT}
      2:
        wet: 57
        material: 64
        density: 1.2
        distance: plan
        travel: [50, 400]
"""
GIVEN = {"wet": 34.3, "material": 64, "density": 1.2, "distance": "plan", "travel": (50, 400)}


def test_a_machine_declares_its_range_shifters(tmp_path):
    machine = load(write(tmp_path, GOOD + SHIFTERS)).machines["101"]
    assert isinstance(machine, MachineOptions)
    assert set(machine.range_shifters) == {"RS_3CM", "2"}
    assert machine.range_shifters["RS_3CM"].settings == {"POSITION1": "IN", "HOME": "OUT"}
    assert machine.range_shifters["2"].travel == (50.0, 400.0)


def test_all_mistakes_are_named_with_their_lines(tmp_path):
    wrong = SHIFTERS.replace("34.3", "-1").replace("snout + 43", "snout").replace("[50, 400]", "[0, 400]", 1)
    wrong = wrong.replace("HOME: OUT", "OUT: IN").replace("material: 64\n", "material: 99\n")
    lines = reported(tmp_path, GOOD + wrong)
    named = [" ".join(line.split()[1:2]) for line in lines]
    assert len(lines) == 6, lines
    assert named.count("machines.101.range_shifters.2.material:") == 1, lines
    assert any("snout + 43" in line for line in lines)
    assert any("above 0" in line for line in lines)
    assert any("other than IN and OUT" in line for line in lines)


@pytest.mark.parametrize(
    "change",
    [
        {"wet": 0},
        {"density": 0},
        {"distance": "snout"},
        {"distance": "nozzle + 5"},
        {"travel": (400, 50)},
        {"travel": (-61.5, 400)},
        {"settings": {"POSITION1": "HALF"}},
        {"settings": {" IN": "IN"}},
        {"settings": {"": "IN"}},
    ],
)
def test_what_no_machine_has_is_refused(change):
    assert RangeShifterOptions(**GIVEN)
    with pytest.raises(ValidationError):
        RangeShifterOptions(**GIVEN | change)


@pytest.mark.parametrize(
    ("rule", "gap"), [("snout + 43", 43.0), ("snout+0.5", 0.5), ("snout - 491.5", -491.5), ("plan", None)]
)
def test_the_rule_of_the_distance(rule, gap):
    assert RangeShifterOptions(**GIVEN | {"distance": rule}).distance == rule
    assert gap_of(rule) == gap
