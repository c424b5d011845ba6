"""Which engine, and what belongs to it: each mistake with its line, its key, and the words of the kind that was chosen."""

# ruff: noqa: E501 - tables of mistakes and words
from __future__ import annotations

import pytest

from mqi_communicator.config import ConfigProblem, effective_digest, load
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.moqui.options import BuiltInMachineOptions, MoquiOptions
from mqi_communicator.dose.options import CalibrationOptions, MachineOptions, ScannerOptions

SHA = "0123456789" * 6 + "0123"
REST = """\
paths: {watch: /in, workspace: /w, results: /r, remote: /remote}
local: {}
"""
MCSQUARE = REST + "engine:\n  home: /opt/mcsquare\n"
MOQUI = REST + "engine:\n  kind: moqui\n  program: /opt/tps_env\n"
FORK = MOQUI + "  flavour: fork\n"
FILE = f"machines:\n  G1:\n    beam_model: model.txt\n    sha256: {SHA}\n"
BUILT_IN = "machines:\n  G1:\n    gantry: 2\n    energies: [70, 230]\n"
CURVE = f"scanners:\n  A|B|C: {{density: d, density_sha256: {SHA}, material: m, material_sha256: {SHA}}}\n"
DEFAULT = "scanners:\n  A|B|C:\n    calibration: default\n"
STEP = "  before:\n  - name: interpreter\n    argv: [python3]\n"


def loaded(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path)


def reported(tmp_path, text):
    """The lines of the refusal, without the file's name."""
    with pytest.raises(ConfigProblem) as refused:
        loaded(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/config.yaml:") for line in refused.value.reason.splitlines()]


def test_without_a_kind_it_is_mcsquare(tmp_path):
    config = loaded(tmp_path, MCSQUARE + FILE + CURVE)
    assert isinstance(config.engine, MCsquareOptions)
    assert isinstance(config.machines["G1"], MachineOptions)
    assert isinstance(config.scanners["A|B|C"], ScannerOptions)
    output = loaded(tmp_path, MCSQUARE + "  kind: mcsquare\n" + FILE + CURVE)
    assert effective_digest(output) == effective_digest(config)


def test_each_engine_has_its_machines_and_scanners(tmp_path):
    upstream = loaded(tmp_path, MOQUI + FILE + "    moqui: {protons_per_mu: 1.0e+8}\n" + DEFAULT)
    assert isinstance(upstream.engine, MoquiOptions)
    machine = upstream.machines["G1"]
    assert isinstance(machine, MachineOptions)
    assert machine.beam_model == tmp_path / "model.txt"
    assert machine.moqui is not None
    assert machine.moqui.protons_per_mu == 1e8
    assert isinstance(upstream.scanners["A|B|C"], CalibrationOptions)
    fork = loaded(tmp_path, FORK + BUILT_IN + DEFAULT)
    assert isinstance(fork.machines["G1"], BuiltInMachineOptions)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (REST + "engine:\n  kind: topas\n", ["4: engine.kind: must be one of 'mcsquare' or 'moqui', not \"topas\""]),
        (REST + "engine:\n  kind:\n  home: /x\n", ["4: engine.kind: has no value; set one or remove the line"]),
        (REST + "engine: {}\n", ["3: engine.home: is missing"]),
        (REST + "engine: {kind: moqui}\n", ["3: engine.program: is missing"]),
        (MCSQUARE + "  treads: 2\n", ["5: engine.treads: unknown key; did you mean threads?"]),
        (MOQUI + "  sedes: 2\n", ["6: engine.sedes: unknown key; did you mean seeds?"]),
        (MOQUI + "  seeds: two\n", ['6: engine.seeds: must be a whole number, not "two"']),
        (MOQUI + "  flavour: ours\n", ["6: engine.flavour: 'ours' is not one of upstream, fork, clinic"]),
        (MOQUI + "  gpus_per_beam: 2\n", ["6: engine.gpus_per_beam: upstream uses one GPU per beam"]),
        (MOQUI + "  format: dcm\n", ["6: engine.format: upstream writes mha, mhd, raw, not dcm"]),
        (MOQUI + "  flavours:\n    ours: {based_on: fork, end: x}\n", ["7: engine.flavours.ours.end: unknown key; did you mean end_mark?"]),
        (MOQUI + "  flavours:\n    ours:\n      based_on: fork\n      lines: {Gpu: '0'}\n", ["9: engine.flavours.ours.lines: Gpu is not a key of fork; if this build reads it, add it to keys"]),
        (MOQUI + STEP + "    agrv: [x]\n", ["9: engine.before[1].agrv: unknown key; did you mean argv?"]),
        (MOQUI + STEP.replace("python3", '"{patient}"'), ["8: engine.before[1].argv: {patient} is not a placeholder; known: beam, common, gpus, input, outputs"]),
        (MOQUI + FILE.replace("beam_model", "beam_modle") + DEFAULT, ["7: machines.G1.beam_model: is missing", "8: machines.G1.beam_modle: unknown key; did you mean beam_model?"]),
        (MOQUI + FILE + "    moqui: {protons_per_um: 1}\n" + DEFAULT, ["10: machines.G1.moqui.protons_per_um: unknown key; did you mean protons_per_mu?"]),
        (FORK + BUILT_IN + "    sha256: x\n" + DEFAULT, ["11: machines.G1.sha256: unknown key; "]),
        (FORK + BUILT_IN.replace("[70, 230]", "[230, 70]"), ["10: machines.G1.energies: must be two energies in MeV, the lower one first"]),
        (MOQUI + DEFAULT.replace("default", "clinic"), ["8: scanners.A|B|C.calibration: must be one of 'default', not \"clinic\""]),
        # what is described for the other engine
        (MCSQUARE + BUILT_IN, ["7: machines.G1.gantry: mcsquare needs a beam_model with its sha256, not a gantry number"]),
        (MOQUI + BUILT_IN, ["8: machines.G1.gantry: moqui (upstream) needs a beam_model with its sha256, not a gantry number"]),
        (FORK + FILE, ["9: machines.G1.beam_model: moqui (fork) has built-in beam models: set gantry and energies instead"]),
        (MCSQUARE + FILE + "    moqui: {}\n", ["9: machines.G1.moqui: is valid only with kind: moqui"]),
        (MCSQUARE + DEFAULT, ["7: scanners.A|B|C.calibration: mcsquare needs density and material files"]),
        (MOQUI + CURVE, ["7: scanners.A|B|C.density: moqui (upstream) has a built-in conversion: set calibration: default instead"]),
    ],
)  # fmt: skip
def test_each_mistake_is_told_in_the_words_of_the_kind_chosen(tmp_path, text, lines):
    output = reported(tmp_path, text)
    assert len(output) == len(lines), output
    for line, wanted in zip(output, lines, strict=True):
        assert line.startswith(wanted), output


def test_no_word_of_the_other_kind_is_suggested(tmp_path):
    (output,) = reported(tmp_path, MOQUI + "  thraeds: 2\n")
    assert "threads" not in output
    (output,) = reported(tmp_path, MCSQUARE + "  sedes: 2\n")
    assert "seeds" not in output
