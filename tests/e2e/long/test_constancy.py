"""A constancy sample goes the ordinary way by itself, is marked in all it leaves, and is no patient's case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from pydicom import dcmread

from mqi_communicator.demo.sample import write_sample


def test_a_sample_is_computed_by_itself_and_again_after_a_change(site):
    site.reports()
    write_sample(site.folder / "phantom", kind="pass", size="tiny", seed=1)
    site.settings["constancy"] = [{"name": "phantom 1", "folder": str(site.folder / "phantom"), "every_days": 30}]
    site.config.write_text(yaml.safe_dump(site.settings))
    daemon = site.daemon()
    (first,) = site.wait_for(lambda cases: cases and cases[0]["status"] == "done", "the sample is computed")
    assert (first["constancy"], first["priority"]) == ("phantom 1", "background")
    results = Path(str(first["results"]))
    assert json.loads((results / "verdict.json").read_text())["constancy"] == "phantom 1"
    page = (results / "report.html").read_text()
    assert "Constancy check phantom 1" in page
    assert "Patient QA by recalculation" not in page
    dose = dcmread(results / "dose" / "plan.dcm")
    assert dose.DoseComment.startswith("NOT FOR QA")
    assert "constancy" in site.mqi("status").stdout
    site.drop("a patient")  # the very same files
    cases = site.wait_for(lambda cases: len(cases) == 2 and cases[0]["status"] == "done", "the patient's case is done")
    assert (cases[0]["constancy"], cases[0]["same_as"]) == ("", "")
    daemon.stop()
    (reported,) = json.loads(site.mqi("constancy", "--json").stdout)
    assert (reported["case"], reported["because"], reported["due"]) == (first["case"], "it was never computed", "")
    site.histories(30_000)
    answer = site.mqi("constancy")
    assert answer.returncode == (0 if first["verdict"] == "pass" else 1), answer.stderr
    assert "histories_per_beam (20000 to" in " ".join(re.sub("[^ -~]", " ", answer.stdout).split())
    daemon = site.daemon()
    runs = site.wait_for(lambda cases: len(cases) == 3 and cases[0]["status"] == "done", "the sample is computed again")
    daemon.stop()
    assert (runs[0]["constancy"], runs[0]["same_as"]) == ("phantom 1", "")
    assert runs[0]["case"] != first["case"]
    (reported,) = json.loads(site.mqi("constancy", "--json").stdout)
    assert reported["because"].startswith("changed since the last: histories_per_beam")
    assert reported["changed_sample"] is False
