"""Deliveries of a patient with unmistakable words, through the whole program, which is killed while it judges them."""

from __future__ import annotations

import json
from pathlib import Path

from pypdf import PdfReader
from tests.e2e.test_privacy import found_in, leaks_of, loose

from mqi_communicator.demo.sample_canary import LABEL, PATIENT_ID
from mqi_communicator.demo.sample_records import FOLDER, write_deliveries


def fractions(cases):
    return [case for case in cases if case["kind"] == "fraction"]


def all_judged(cases):
    return len(fractions(cases)) == 2 and all(case["status"] == "done" for case in fractions(cases))


def test_killed_while_it_judges_each_fraction_gets_one_verdict_and_a_report_without_the_patients_name(site):
    arrived = site.folder / "deliveries"
    arrived.mkdir()
    site.change("paths", deliveries=str(arrived))
    site.reports()
    site.drop("the plan", kind="canary", change=lambda made: write_deliveries(made, 2, "more-in-a-layer"))
    records = site.watch / "the plan" / FOLDER
    records.rename(arrived / "week")
    for step in ("judge", "document", "publish"):
        daemon = site.daemon()
        next(line for line in daemon.events() if line["event"] == "step.started" and line["step"] == step)
        daemon.kill()
    daemon = site.daemon()
    found = sorted(fractions(site.wait_for(all_judged, "both fractions are judged")), key=lambda one: one["fraction"])
    site.wait_for(lambda cases: all(case["status"] == "done" for case in cases), "all is done")
    assert daemon.stop() == 0
    assert [(one["fraction"], one["verdict"]) for one in found] == [("fraction 1", "pass"), ("fraction 2", "review")]
    for one in found:
        delivered = Path(str(one["results"]))
        assert delivered == site.results / str(one["case"])
        (judged,) = json.loads((delivered / "delivery.json").read_text())["fractions"]
        assert (judged["word"], judged["why"]) == (one["verdict"], one["why"])
        assert {Path(name).name for name in leaks_of(delivered)} == {"report.html", "report.json"}
        printed = "".join(sheet.extract_text() for sheet in PdfReader(delivered / "report.pdf").pages)
        for text in (printed, (delivered / "report.html").read_text("utf-8")):
            assert found_in(text) == [PATIENT_ID, LABEL]
            assert "RECORD OF A DELIVERY" in text
    assert loose(site.results) + loose(site.workspace) == []
    assert found_in(daemon.output + daemon.complaints + str([one.lines for one in site.daemons])) == []
    assert site.mqi("audit", "--verify").returncode == 0
