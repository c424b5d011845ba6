"""`mqi plan` reads plans without a configuration: what they hold, and what cannot be computed, by engine."""

from __future__ import annotations

import json
import subprocess
import sys

import pydicom
import pytest
from tests.written import FILES

from mqi_communicator.dose.abilities import TABLE


@pytest.fixture
def write(tmp_path):
    def save(name, spoil=lambda _plan: None):
        (tmp_path / name).write_bytes(FILES["RP.dcm"])
        data = pydicom.dcmread(tmp_path / name)
        spoil(data)
        data.save_as(tmp_path / name)
        return tmp_path / name

    return save


def plan(*words, cwd=None):
    command = [sys.executable, "-m", "mqi_communicator", "plan", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


def sitting_in_arcs(data):
    data.PatientSetupSequence[0].PatientPosition = "SITTING"
    data.IonBeamSequence[0].IonControlPointSequence[0].GantryRotationDirection = "CW"


def without_meterset(data):
    del data.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset


def test_what_a_plan_holds_and_that_it_can_be_computed(write, tmp_path):
    reported = plan(write("RP good.dcm"), cwd=tmp_path)
    assert (reported.returncode, reported.stderr) == (0, "")
    for words in ("RP good.dcm", "1 (F1 anterior)", "MODULATED", "MQI-DEMO", "HFS", *(row.name for row in TABLE)):
        assert words in reported.stdout
    assert "cannot" not in reported.stdout


def test_every_reason_is_told_and_a_plan_that_is_understood_exits_0(write):
    reported = plan(write("RP.dcm", sitting_in_arcs))
    assert reported.returncode == 0
    names = ", ".join(row.name for row in TABLE)
    assert f"cannot be computed with {names}:" in reported.stdout
    assert "GantryRotationDirection (300A,011F) is CW" in reported.stdout
    assert "beam 1 (F1 anterior): PatientPosition (0018,5100) is SITTING, expected HFS, HFP, FFS" in reported.stdout


def test_files_that_are_not_understood_exit_1_and_the_others_are_told_all_the_same(write, tmp_path):
    (tmp_path / "notes.txt").write_text("no plan")
    reported = plan(
        tmp_path / "notes.txt", tmp_path / "none.dcm", write("bad.dcm", without_meterset), write("good.dcm")
    )
    assert reported.returncode == 1
    assert "notes.txt is not a DICOM file, expected an RT Ion Plan" in reported.stdout
    assert "none.dcm: the file cannot be read: No such file or directory" in reported.stdout
    assert "BeamMeterset (300A,0086) is missing" in reported.stdout
    assert reported.stdout.count("can be computed with") == 1
    assert "Traceback" not in reported.stdout + reported.stderr


def test_json_holds_the_same_for_programs(write):
    reported = plan("--json", write("RP.dcm", sitting_in_arcs))
    (found,) = json.loads(reported.stdout)
    assert found["understood"] is True
    beam = found["beams"][0]
    assert (beam["number"], beam["mode"], beam["layers"]) == (1, "MODULATED", 7)
    assert beam["spots"] > 0
    assert beam["meterset"] > 0
    assert {one["engine"] for one in found["engines"]} == {row.name for row in TABLE}
    reason = next(one for one in found["engines"][0]["refusals"] if one["code"] == "beam.position")
    assert reason["sentence"] == (
        "RP.dcm, beam 1 (F1 anterior): PatientPosition (0018,5100) is SITTING, expected "
        "HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL"
    )
    assert reason["tag"] == "PatientPosition (0018,5100)"
    assert (reason["found"], reason["file"], reason["where"]) == ("SITTING", "RP.dcm", "beam 1 (F1 anterior)")
