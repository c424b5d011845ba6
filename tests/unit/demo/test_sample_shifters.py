"""The samples with a range shifter: what each gives MCsquare to compute, or why it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.beamdata import TABLE

from mqi_communicator.demo.sample import write_sample
from mqi_communicator.demo.settings import SCANNER, demo_sections
from mqi_communicator.demo.truth import MACHINE
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import ShifterSetting
from mqi_communicator.dicom.structures import read_structures
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.engine import MCsquare
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve
from mqi_communicator.dose.models import read_beam_models
from mqi_communicator.dose.options import MachineOptions
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer

ENGINE = Path(__file__).parents[3] / ".setup/mcsquare"


@pytest.fixture(scope="module")
def preparer():
    """MCsquare with the demo's range shifters, and a beam model of its own."""
    declared = demo_sections(ENGINE)["machines"][MACHINE]
    shifters = read_beam_models({MACHINE: MachineOptions(**declared)})[MACHINE].shifters
    model = replace(parse_beam_model(TABLE, Commissioning()), shifters=shifters)
    curve = parse_curve(b"-1100 0.0012\n3000 2.5\n", b"-1100 13\n-500 17\n", Commissioning())
    return Preparer(MCsquare(MCsquareOptions(home="/opt/mc"), {MACHINE: model}, {SCANNER: curve}), PreparationOptions())


def read(folder, kind):
    write_sample(folder, kind=kind, size="tiny")
    ct = read_ct(sorted(folder.glob("CT.*")))
    return sound_plan(folder / "RP.dcm"), ct, read_structures(folder / "RS.dcm")


@pytest.mark.parametrize(("kind", "share"), [("range-shifter", 1.0), ("range-shifter-layers", 0.5)])
def test_the_correct_ones_are_computed(tmp_path, preparer, kind, share):
    plan, ct, structures = read(tmp_path, kind)
    assert preparer.refusals(plan, ct, structures) == ()
    prepared = preparer.prepare(plan, ct, structures)
    first, second = prepared.case.plan.beams
    thin = ShifterSetting("RS_10", "IN", 150.0, 10.0)
    assert {one for layer in first.layers for one in layer.shifters} == {thin}
    count = sum(bool(layer.shifters) for layer in first.layers)
    assert count == pytest.approx(share * len(first.layers), abs=1)
    assert not any(layer.shifters for layer in second.layers)
    notes = [(one.name, one.scope, one.review) for one in prepared.cautions if one.name != "source_distance"]
    assert notes == [("range_shifter", "beam 1", False)]
    open_plan, *_ = read(tmp_path / "open", "pass")
    for layer, plain in zip(first.layers, open_plan.beams[0].layers, strict=True):
        assert (layer.energy > plain.energy + 3) is bool(layer.shifters)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("shifter-unknown", "RangeShifterID (300A,0318) is RS_Other, expected one that is declared for machine MQI-"),
        ("shifter-word", "RangeShifterSetting (300A,0362) is HALF, expected one of IN, OUT, POSITION1"),
        ("shifter-in-body", "range shifter RS_10 would be in the patient: its downstream edge is 60 mm"),
        ("shifter-travel", "range shifter RS_10 is 470 mm from the isocentre"),
        ("shifter-thick", "behind range shifter RS_Block of 110.1 mm water-equivalent thickness, protons of"),
    ],
)
def test_the_others_are_refused_for_one_reason(tmp_path, preparer, kind, words):
    (problem,) = preparer.refusals(*read(tmp_path, kind))
    assert words in str(problem)
    assert str(problem).startswith("RP.dcm, beam 1 (F1 anterior): ")
