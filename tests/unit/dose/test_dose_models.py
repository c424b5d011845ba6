"""Commissioned files are read once, proved, and each mistake is named with its machine or scanner and its file."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest
from pydantic import ValidationError
from tests.beamdata import TABLE
from tests.standin.site import BEAM_FILE

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.models import read_beam_models, read_calibrations, read_curves, read_machines
from mqi_communicator.dose.moqui.basis import BuiltIn
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.options import BuiltInMachineOptions, MoquiMachineOptions
from mqi_communicator.dose.options import CalibrationOptions, MachineOptions, ScannerOptions


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def machine(path, sha256: str, **signed) -> dict[str, MachineOptions]:
    return {"G1": MachineOptions(beam_model=path, sha256=sha256, **signed)}


@pytest.mark.parametrize("expected", [digest(TABLE), digest(TABLE.replace(b"\r\n", b"\n"))])
def test_a_model_is_known_by_its_digest_as_it_lies_or_with_lf(tmp_path, expected):
    path = tmp_path / "model.txt"
    path.write_bytes(TABLE)
    model = read_beam_models(machine(path, expected, commissioned_by="Physics", commissioned_on=date(2026, 1, 31)))[
        "G1"
    ]
    assert b"\r" not in model.text
    assert model.nominal == (100.0, 200.0)
    assert (model.commissioning.by, model.commissioning.on) == ("Physics", "2026-01-31")


def test_range_shifters_come_with_the_model_of_their_machine(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(TABLE)
    declared = {
        "wet": 34.3,
        "material": 64,
        "density": 1.2,
        "distance": "snout + 43.0",
        "travel": (50, 400),
        "settings": {"POSITION1": "IN"},
        "commissioned_by": "Physics",
        "commissioned_on": date(2026, 1, 31),
    }
    model = read_beam_models(machine(path, digest(TABLE), range_shifters={"RS_3CM": declared}))["G1"]
    one = model.shifters["RS_3CM"]
    assert (one.wet, one.material, one.density, one.snout_gap, one.travel) == (34.3, 64, 1.2, 43.0, (50, 400))
    assert [one.state(word) for word in ("IN", "OUT", "POSITION1", "in", "")] == ["IN", "OUT", "IN", None, None]
    assert str(one.commissioning) == "commissioned by Physics on 2026-01-31"


def test_a_changed_model_is_refused_with_its_new_digest(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(TABLE.replace(b"2e8", b"3e8"))
    with pytest.raises(ActionRequired) as caught:
        read_beam_models(machine(path, digest(TABLE)))
    assert all(word in caught.value.reason for word in ("'G1'", str(path), digest(TABLE)))
    assert digest(path.read_bytes().replace(b"\r\n", b"\n")) in caught.value.reason
    assert caught.value.advice


def test_an_absent_or_unreadable_model_is_named(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ActionRequired, match=r"'G1'.*cannot be read"):
            read_beam_models(machine(path, digest(TABLE)))


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(b"hello")
    with pytest.raises(ActionRequired, match=r"'G1'.*model\.txt.*not an MCsquare beam data library"):
        read_beam_models(machine(path, digest(b"hello")))


def test_curves_are_proved_file_by_file(tmp_path):
    density, material = tmp_path / "d.txt", tmp_path / "m.txt"
    density.write_bytes(b"# HU\r\n-1000 0.001\r\n0 1\r\n")
    material.write_bytes(b"-1000 13 # Air\n0 17\n")
    digests = {"density_sha256": digest(density.read_bytes()), "material_sha256": digest(material.read_bytes())}
    options = ScannerOptions(density=density, material=material, **digests)
    assert read_curves({"A|B|C": options})["A|B|C"].density == b"# HU\n-1000 0.001\n0 1\n"
    material.write_bytes(b"-1000 13\n0 18\n")
    with pytest.raises(ActionRequired, match=r"'A\|B\|C': material file .*m\.txt has sha256"):
        read_curves({"A|B|C": options})
    material.write_bytes(b"0 13\n0 18\n")
    again = options.model_copy(update={"material_sha256": digest(material.read_bytes())})
    with pytest.raises(ActionRequired, match="material file's HU must rise"):
        read_curves({"A|B|C": again})
    density.unlink()
    with pytest.raises(
        ActionRequired, match=r"density file .*d\.txt cannot be read.*; .*material file .*m\.txt has sha256"
    ):
        read_curves({"A|B|C": options})


def test_options_refuse_what_cannot_be_meant():
    for wrong in ({"home": "relative/path"}, {"home": "/e", "treads": 2}, {"home": "/e", "target_uncertainty": 1.0}):
        with pytest.raises(ValidationError):
            MCsquareOptions(**wrong)
    with pytest.raises(ValidationError):
        MachineOptions(beam_model="/m", sha256="abc")


def test_moquis_beam_file_is_proved_and_read(tmp_path):
    path = tmp_path / "beam.txt"
    path.write_bytes(BEAM_FILE)
    options = MachineOptions(
        beam_model=path,
        sha256=digest(BEAM_FILE),
        commissioned_by="Physics",
        commissioned_on=date(2026, 1, 31),
        moqui=MoquiMachineOptions(protons_per_mu=1e8, snout_position=300.0),
    )
    machine = read_machines({"G1": options})["G1"]
    assert isinstance(machine.model, BeamFile)
    assert machine.model.text == BEAM_FILE
    assert (machine.protons_per_mu, machine.snout_position) == (1e8, 300.0)
    assert str(machine.commissioning) == "commissioned by Physics on 2026-01-31"
    path.write_bytes(BEAM_FILE.replace(b"[spot]", b"[spots]"))
    with pytest.raises(ActionRequired, match="has sha256") as caught:
        read_machines({"G1": options})
    assert "'G1'" in caught.value.reason
    wrong = options.model_copy(update={"sha256": digest(path.read_bytes())})
    with pytest.raises(ActionRequired, match=r"'G1'.*beam\.txt.*line \d+.*spots"):
        read_machines({"G1": wrong})


def test_a_machine_built_into_moqui_is_what_the_configuration_says():
    options = BuiltInMachineOptions(gantry=2, energies=(70.0, 230.0), counts_per_mu=5e6, dose_factor=1.5)
    machine = read_machines({"G1": options})["G1"]
    assert machine.model == BuiltIn(70.0, 230.0)
    assert (machine.sent_name, machine.gantry, machine.counts_per_mu, machine.dose_factor) == ("G2", 2, 5e6, 1.5)
    named = options.model_copy(update={"sent_name": "GTR2"})
    assert read_machines({"G1": named})["G1"].sent_name == "GTR2"


def test_moquis_calibration_is_signed_for_each_scanner():
    options = CalibrationOptions(calibration="default", commissioned_by="Physics", commissioned_on=date(2026, 1, 31))
    nobody = CalibrationOptions(calibration="default")
    read = read_calibrations({"A|B|C": options, "D|E|F": nobody})
    assert {name: one.name for name, one in read.items()} == {"A|B|C": "default", "D|E|F": "default"}
    assert read["A|B|C"].commissioning.by == "Physics"
    assert not read["D|E|F"].commissioning.by


def test_devices_that_were_commissioned_with_moqui_come_with_their_machine(tmp_path):
    path = tmp_path / "beam.txt"
    path.write_bytes(BEAM_FILE)
    signed = {"commissioned_by": "Physics", "commissioned_on": date(2026, 1, 31), "measured": "behind RS"}
    options = machine(path, digest(BEAM_FILE), moqui={"devices": {"range_shifters": signed}})
    made = read_machines(options)["G1"]
    assert {kind: str(one) for kind, one in made.devices.items()} == {
        "range_shifters": "commissioned by Physics on 2026-01-31, measured: behind RS"
    }
    for name in signed:
        with pytest.raises(ValidationError, match=name):
            machine(path, digest(BEAM_FILE), moqui={"devices": {"apertures": signed | {name: " "}}})
