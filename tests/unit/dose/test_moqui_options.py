"""What a site may say about moqui, and what is refused in words before anything runs."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from mqi_communicator.dose.moqui.flavours import BUILT_IN
from mqi_communicator.dose.moqui.options import BuiltInMachineOptions, MoquiMachineOptions, MoquiOptions
from mqi_communicator.dose.options import CalibrationOptions, MachineOptions, ScannerOptions, misfits

pytestmark = pytest.mark.pure

SHA = "0" * 64
STEP = {"name": "interpreter", "argv": ["python3", "x"]}


def options(**more) -> MoquiOptions:
    return MoquiOptions(**{"kind": "moqui", "program": "/opt/tps_env", **more})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"program": "tps_env"}, "program"),
        ({"flavour": "ours"}, "flavour: 'ours' is not one of upstream, fork, clinic"),
        ({"flavours": {"clinic": {"based_on": "fork"}}}, "clinic is built in"),
        ({"format": "dcm"}, "format: upstream writes mha, mhd, raw, not dcm"),
        ({"format": "MHA"}, "format"),
        ({"spots": "csv"}, "spots: upstream reads the plan"),
        ({"flavour": "fork", "spots": "plan"}, "spots: fork reads lists"),
        ({"flavour": "fork", "spots": "before"}, "spots: before needs a step"),
        ({"gpus_per_beam": 2}, "gpus_per_beam: upstream uses one GPU per beam"),
        ({"answer_rbe": 1.1}, "upstream reports physical dose"),
        ({"answer_extent": "course"}, "upstream reports physical dose"),
        ({"seeds": 0}, "seeds"),
        ({"after": [{**STEP, "outputs": ["{outputs}/x"]}]}, "there is no single folder {outputs}"),
        ({"before": [STEP, STEP]}, "two steps have the same name"),
        ({"before": [{**STEP, "name": "moqui-1"}]}, "reserved for moqui"),
        ({"before": [{**STEP, "name": "Interpreter 1"}]}, "name"),
        ({"before": [{**STEP, "argv": []}]}, "argv"),
        ({"before": [{**STEP, "argv": "python3 x.py"}]}, "argv"),
        ({"before": [{**STEP, "argv": ["x", ""]}]}, "an argument is empty"),
        ({"before": [{**STEP, "argv": ["x", "a\tb"]}]}, "contains a tab"),
        ({"before": [{**STEP, "argv": ["x", "{patient}"]}]}, "{patient} is not a placeholder; known: beam, common"),
        ({"before": [{**STEP, "argv": ["x", "{beam.real}"]}]}, "is not a placeholder"),
        ({"before": [{**STEP, "argv": ["x", "{beam:>99}"]}]}, "has a format"),
        ({"before": [{**STEP, "argv": ["x", "{"]}]}, "a literal brace twice"),
        ({"before": [{**STEP, "outputs": ["{patient}"]}]}, "is not a placeholder"),
        ({"after": [{**STEP, "failure_patterns": ["("]}]}, "not a regular expression"),
        ({"flavours": {"ours": {"based_on": "upstream", "lines": {"Gantry": "1"}}}}, "Gantry is not a key of upstream"),
        ({"flavours": {"ours": {"based_on": "upstream", "lines": {"GPUID": "{case}"}}}}, "{case} is not a placeholder"),
        ({"flavours": {"ours": {"based_on": "upstream", "lines": {"GPUID": "0 # one"}}}}, "must not contain blanks"),
        ({"flavours": {"ours": {"based_on": "upstream", "lines": {"GPU ID": "0"}}}}, "a key must be one word"),
        ({"flavours": {"ours": {"based_on": "upstream", "end_mark": "["}}}, "not a regular expression"),
        ({"flavours": {"ours": {"based_on": "upstream", "product": "/tmp/x"}}}, "below the run folder"),
        ({"flavours": {"ours": {"based_on": "upstream", "product": "{patient}"}}}, "is not a placeholder"),
        ({"flavours": {"ours": {"based_on": "upstream", "product": "x/{name}"}}, "flavour": "ours"}, "write one file"),
        ({"flavours": {"ours": {"based_on": "topas"}}}, "based_on"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, words):
    with pytest.raises(ValidationError, match=re.escape(words)):
        options(**wrong)


def test_a_flavour_of_the_site_differs_where_it_says_so():
    ours = {
        "based_on": "clinic",
        "formats": ["mhd"],
        "answer": "raw",
        "product": "{output}/{name}-{beam}",
        "end_mark": "^All done",
        "failure_patterns": ["^Oh no"],
        "retryable_patterns": ["^Busy"],
        "origin": "centre",
        "several_gpus": {"TotalThreads": "64"},
    }
    made, base = options(flavours={"ours": ours}, flavour="ours").chosen, BUILT_IN["clinic"]
    assert (made.name, made.formats, made.answer, made.product) == ("ours", ("mhd",), "raw", "{output}/{name}-{beam}")
    assert (made.end, made.origin.value) == ("^All done", "centre")
    assert [(one.pattern, one.retryable) for one in made.error_patterns[:2]] == [("^Busy", True), ("^Oh no", False)]
    assert made.error_patterns[2:] == base.error_patterns
    assert made.several_gpus == {**base.several_gpus, "TotalThreads": "64"}
    assert (made.keys, made.lines, made.scale, made.start) == (base.keys, base.lines, base.scale, base.start)


def test_a_required_line_that_is_taken_away_is_no_longer_required():
    made = options(flavours={"ours": {"based_on": "upstream", "lines": {"RBE": ""}}}, flavour="ours").chosen
    assert "RBE" not in made.required
    assert not made.physical


FILE = MachineOptions(beam_model="/m", sha256=SHA)
WITH_MORE = MachineOptions(beam_model="/m", sha256=SHA, moqui=MoquiMachineOptions(snout_position=400))
BUILT = BuiltInMachineOptions(gantry=1, energies=(70.0, 230.0))
CURVE = ScannerOptions(density="/d", density_sha256=SHA, material="/m", material_sha256=SHA)
DEFAULT = CalibrationOptions(calibration="default")


@pytest.mark.parametrize(
    ("engine", "machine", "scanner", "reported"),
    [
        (options(), FILE, DEFAULT, []),
        (options(), WITH_MORE, DEFAULT, []),
        (options(flavour="fork"), BUILT, DEFAULT, []),
        (options(), BUILT, DEFAULT, [("machines", "G1", "gantry")]),
        (options(flavour="clinic"), FILE, DEFAULT, [("machines", "G1", "beam_model")]),
        (options(), FILE, CURVE, [("scanners", "CT", "density")]),
    ],
)
def test_machines_and_scanners_fit_the_engine_or_are_named(engine, machine, scanner, reported):
    assert [keys for keys, _ in misfits(engine, {"G1": machine}, {"CT": scanner})] == reported


@pytest.mark.parametrize("energies", [(230.0, 70.0), (0.0, 70.0), (70.0, 70.0)])
def test_energies_rise(energies):
    with pytest.raises(ValidationError, match="the lower one first"):
        BuiltInMachineOptions(gantry=1, energies=energies)
