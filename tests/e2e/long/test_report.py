"""A report that cannot be drawn keeps no verdict back, and is said; one that can is delivered with the verdict."""

from __future__ import annotations

import json
from pathlib import Path

from pydicom import dcmread


def test_without_a_report_the_verdict_is_delivered_all_the_same(site):
    site.reports()
    site.drop("good")
    broken = site.folder / "broken"
    site.drop("broken", seed=2).rename(broken)
    structures = broken / "RS.dcm"
    ds = dcmread(structures)
    ds.ROIContourSequence[0].ContourSequence[0].ContourData = [1.0, 2.0, 3.0, 4.0]  # no whole number of points
    ds.save_as(structures)
    broken.rename(site.watch / "broken")
    answer = site.mqi("once", timeout=280)
    cases = {str(case["folder"]): case for case in site.status()}
    for name in ("good", "broken"):
        assert cases[name]["status"] == "done", answer.stderr
        assert cases[name]["verdict"], answer.stderr
    good, bad = (Path(str(cases[name]["results"])) for name in ("good", "broken"))
    assert (good / "report.pdf").read_bytes().startswith(b"%PDF-")
    reported = {file["name"] for file in json.loads((good / "manifest.json").read_text())["outputs"]}
    assert {"report.html", "report.pdf", "verdict.json"} <= reported
    assert json.loads((bad / "verdict.json").read_text())["word"] == cases["broken"]["verdict"]
    assert not [path.name for path in bad.rglob("*report*")]
    shown = json.loads(site.mqi("show", "broken", "--json").stdout)
    (event,) = (event for event in shown["events"] if event["step"] == "report")
    assert event["facts"]["report"] == "not drawn"
    assert event["facts"]["report_why"] == "dicom.damaged"
    assert "report: none, dicom.damaged" in site.mqi("show", "broken").stdout.replace("\n", " ")
    again = site.mqi("report", "broken")
    assert again.returncode == 1
    assert "not generated" in again.stdout
    assert "damaged" in again.stdout


def test_a_case_is_judged_again_with_other_limits_and_the_old_verdict_is_kept(site):
    site.drop("case")
    site.mqi("once", timeout=280)
    (first,) = site.status()
    assert first["verdict"] == "undecided"  # 20 000 histories are few
    person = ("--role", "physicist", "--full-name", "Ada Byron", "--title", "physicist", "--password-stdin")
    added = site.mqi("user", "add", "ada", *person, typed="a long enough password\n")
    assert added.returncode == 0, added.stderr
    rejected = ("--reject", "--user", "ada", "--password-stdin", "--reason", "too noisy")
    signed = site.mqi("sign", "case", *rejected, typed="a long enough password\n")
    assert "applied when the communicator runs" in signed.stderr
    site.change("judgement", uncertainty={"limit_percent": 50})
    runs = site.starts()
    assert "applied when the communicator runs" in site.mqi("rejudge", "case", "--reason", "other limits").stdout
    answer = site.mqi("once", timeout=280)
    (second,) = site.status()
    assert second["status"] == "done", answer.stderr
    assert second["verdict"] != "undecided", second["why"]
    assert site.starts() == runs  # nothing was computed again
    old, new = (Path(str(case["results"])) for case in (first, second))
    assert new.name == f"{old.name}-judged-2"
    assert json.loads((old / "verdict.json").read_text())["word"] == "undecided"
    assert json.loads((new / "verdict.json").read_text())["word"] == second["verdict"]
    assert json.loads((new / "manifest.json").read_text())["judgement"] == 2
    assert (old / "signature.json").is_file()
    assert not (new / "signature.json").exists()
    events = json.loads(site.mqi("show", "case", "--json").stdout)["events"]
    words = [event["facts"]["word"] for event in events if event["event"] == "step.done" and "word" in event["facts"]]
    assert words == ["undecided", second["verdict"]]
