"""The dose of what was delivered, through the real engine, by a program that is killed while it computes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mqi_communicator.demo.sample_records import FOLDER, write_deliveries


def of_kind(cases, kind):
    return sorted((case for case in cases if case["kind"] == kind), key=lambda one: one["fraction"])


def all_computed(cases):
    doses = of_kind(cases, "dose")
    return len(doses) == 2 and all(case["status"] == "done" for case in doses)


def test_each_fraction_gets_the_dose_of_its_own_record_and_no_job_runs_twice(site):
    arrived = site.folder / "deliveries"
    arrived.mkdir()
    site.change("paths", deliveries=str(arrived))
    site.change("judgement", delivery={"compute_dose": True}, gamma={"per_beam": False, "dose_percent": 5.0})
    site.histories(350_000)
    site.drop("the plan", change=lambda made: write_deliveries(made, 2, "more-in-all"))
    (site.watch / "the plan" / FOLDER).rename(arrived / "week")
    for step in ("reconstruct", "reconstruct", "follow"):
        daemon = site.daemon()
        next(line for line in daemon.events() if line["event"] == "step.started" and line["step"] == step)
        daemon.kill()
    daemon = site.daemon()
    cases = site.wait_for(all_computed, "both doses are computed", 400)
    assert daemon.stop() == 0
    good, more = of_kind(cases, "dose")
    assert (good["fraction"], more["fraction"]) == ("fraction 1", "fraction 2")
    verdicts = [json.loads((Path(str(one["results"])) / "verdict.json").read_text()) for one in (good, more)]
    scales = [next(c["value"] for c in one["checks"] if c["name"] == "dose_scale") for one in verdicts]
    assert scales[0] == pytest.approx(1.0, abs=0.01)
    assert scales[1] == pytest.approx(1.03, abs=0.01)
    assert [one["fraction"] for one in verdicts] == ["fraction 1", "fraction 2"]
    assert (good["verdict"], more["verdict"]) == ("pass", "fail"), [one["why"] for one in verdicts]
    assert re.fullmatch(r"the computed dose is [23](\.\d)? % higher than planned", str(more["why"])), more["why"]
    beams = [beam for case in (*of_kind(cases, "plan"), good, more) for beam in case["beams"]]
    assert len(site.starts()) == len(set(site.starts())) == len(beams) == 6
    assert site.mqi("audit", "--verify").returncode == 0
