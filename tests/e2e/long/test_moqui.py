"""A folder of DICOM goes in, a verdict comes out: the stand-in for moqui behind the whole product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.standin.write_site import write_site

pytestmark = pytest.mark.real


class MoquiSite:
    """A communicator on the computing machine itself, with one case in its folder."""

    def __init__(self, folder: Path, *about: Any, **engine: Any) -> None:
        self.folder = folder
        self.config = write_site(folder, *about, **engine)

    def mqi(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One of our commands, with this configuration."""
        command = [sys.executable, "-m", "mqi_communicator", *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    def reported(self, name: str) -> dict[str, Any]:
        """A file of the one case's results."""
        (found,) = (self.folder / "results").glob(f"*/{name}")
        return dict(json.loads(found.read_text()))


def test_a_good_case_passes_although_moqui_crashed_once_while_it_saved(tmp_path):
    site = MoquiSite(
        tmp_path, "upstream", "pass", {"fault": "save-crash", "fault_runs": 1, "witness": str(tmp_path / "w")}
    )
    checked = site.mqi("check")
    assert checked.returncode == 0, checked.stdout
    ended = site.mqi("once")
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    assert site.reported("verdict.json")["word"] == "pass"
    runs = [line.split() for line in (tmp_path / "w").read_text().splitlines()]
    assert len([words for words in runs if words[0] == "start"]) == 5  # two beams with two seeds, and one crash
    assert {words[-1] for words in runs} <= {"gpus=0", "gpus=1"}
    manifest = json.dumps(site.reported("manifest.json"))
    assert '"engine": "moqui"' in manifest
    assert "while it saved its dose" in (next((tmp_path / "results").glob("*/events.jsonl"))).read_text()


@pytest.mark.parametrize("flavour", ["fork", "clinic"])
def test_a_plan_that_aims_elsewhere_fails(tmp_path, flavour):
    several = {"gpus_per_beam": 2} if flavour == "clinic" else {}
    site = MoquiSite(tmp_path, flavour, "shift-error", **several)
    ended = site.mqi("once")
    assert ended.returncode == 1, (ended.stdout, ended.stderr)
    assert site.reported("verdict.json")["word"] == "fail"


@pytest.mark.parametrize("kind", ["range-shifter", "aperture", "aperture-patient-side"])
def test_a_plan_with_a_device_passes_where_it_is_commissioned(tmp_path, kind):
    site = MoquiSite(tmp_path, "upstream", kind, devices=True)
    ended = site.mqi("once")
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    verdict = site.reported("verdict.json")
    assert verdict["word"] == "pass", verdict
    assert kind.replace("-", "_").removesuffix("_patient_side") in {check["name"] for check in verdict["checks"]}


def test_a_plan_with_a_device_that_nobody_commissioned_is_refused_with_what_to_do(tmp_path):
    site = MoquiSite(tmp_path, "upstream", "aperture")
    assert site.mqi("once").returncode == 1
    reported = site.mqi("status", "--json").stdout
    assert "needs an aperture" in reported
    assert "moqui, devices, apertures" in reported
