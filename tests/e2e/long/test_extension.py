"""One longer run, declared beforehand: made where the noise alone asks for it, kept beside the first, never again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def declared(site):
    """A site that declares one longer run; limits that a few seconds of computing reach."""
    site.settings["extension"] = {"max_histories_per_beam": 2_000_000}
    site.settings["judgement"]["uncertainty"] = {"limit_percent": 3.0}
    site.config.write_text(yaml.safe_dump(site.settings))
    return site


def test_an_undecided_case_is_computed_once_more_and_the_first_verdict_is_kept(declared):
    site = declared
    site.reports()
    site.drop("case")
    daemon = site.daemon()
    site.wait_for(lambda cases: cases and cases[0]["step"] == "compare" and cases[0]["results"], "computed once more")
    daemon.kill()  # the first verdict stands in the results: it is not taken for the last word
    answer = site.mqi("once", timeout=280)
    (case,) = site.status()
    assert case["status"] == "done", answer.stderr
    key, new = str(case["case"]), Path(str(case["results"]))
    old = site.results / key
    assert new == site.results / f"{key}-judged-2"
    first, second = (json.loads((folder / "verdict.json").read_text()) for folder in (old, new))
    assert (first["word"], first["extension"]["made"]) == ("undecided", False)
    more = first["extension"]["histories_per_beam"]
    assert 20_000 < more < 2_000_000
    assert second["extension"] == {
        "max_histories_per_beam": 2_000_000,
        "first_histories_per_beam": 20_000,
        "histories_per_beam": more,
        "made": True,
        "note": case["extension"],
    }
    assert second["word"] == case["verdict"] == "pass", case["why"]
    spaced = f"{more:,}".replace(",", " ")
    output = f"extended once from 20 000 to {spaced} histories per beam"
    assert output == case["extension"]
    manifest = json.loads((new / "manifest.json").read_text())
    assert {run["run"] for run in manifest["runs"]} == {2}
    assert manifest["engine"]["histories_per_beam"] == str(more)
    assert json.loads((old / "manifest.json").read_text())["engine"]["histories_per_beam"] == "20000"
    assert output in site.mqi("why", "case").stdout
    assert output in site.mqi("show", "case").stdout.replace("\n", " ")
    assert output in (new / "report.html").read_text()
    assert "will be superseded" in (old / "report.html").read_text()
    events = json.loads(site.mqi("show", "case", "--json").stdout)["events"]
    assert [event["beam"] for event in events if event["event"] == "case.extended"] == [0, 1, 2]
    before = len(site.starts())
    site.change("judgement", uncertainty={"limit_percent": 0.1})  # undecided again, by whatever limits
    site.mqi("rejudge", "case")
    site.mqi("once", timeout=280)
    (again,) = site.status()
    assert (again["status"], again["verdict"]) == ("done", "undecided")
    assert len(site.starts()) == before  # never a second time
    audited = site.mqi("audit", "--verify")
    assert audited.returncode == 0, audited.stdout


def test_what_was_not_declared_before_is_not_computed_again(site):
    site.drop("case")
    site.mqi("once", timeout=280)
    (case,) = site.status()
    assert case["verdict"] == "undecided"
    runs = site.starts()
    site.settings["extension"] = {"max_histories_per_beam": 2_000_000}
    site.config.write_text(yaml.safe_dump(site.settings))
    site.mqi("rejudge", "case")
    site.mqi("once", timeout=280)
    (again,) = site.status()
    assert (again["status"], again["verdict"], again["extension"]) == ("done", "undecided", "")
    assert site.starts() == runs
    assert json.loads((Path(str(again["results"])) / "verdict.json").read_text())["extension"] is None
