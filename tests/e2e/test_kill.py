"""kill -9 at every step, each at its beginning and at its end: no case is lost, no job runs twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from mqi_communicator.flow.steps.table import BEAM_STEPS, CASE_STEPS

POINTS = [(step.name, moment) for step in (*CASE_STEPS, *BEAM_STEPS) for moment in ("begin", "done")]
ENDS = ("step.done", "case.done", "beam.done")


def reached(record: dict[str, object]) -> tuple[str, str] | None:
    """Which kill point a log line stands for."""
    if record["event"] == "step.started":
        return str(record["step"]), "begin"
    if record["event"] in ENDS:
        return str(record["step"]), "done"
    return None


@pytest.mark.timeout(560)
def test_killed_at_every_step_the_case_ends_right_and_no_job_runs_twice(site):
    site.reports()
    site.drop()
    hit = set()
    for _life in range(3 * len(POINTS)):
        daemon = site.daemon()
        for record in daemon.events():
            point = reached(record)
            if point is not None and point not in hit:
                hit.add(point)
                daemon.kill()
                break
            if record["event"] == "case.done" and record["step"] == "tidy":
                daemon.stop()
                break
        if ("tidy", "done") in hit:
            break
    assert hit == set(POINTS)
    answer = site.mqi("once")
    (case,) = site.status()
    assert case["status"] == "done", case
    assert case["verdict"] in ("pass", "review", "undecided"), answer.stderr
    assert Counter(site.starts()) == {f"{case['case']}-b1-r1": 1, f"{case['case']}-b2-r1": 1}
    delivered = site.results / str(case["case"])
    assert json.loads((delivered / "verdict.json").read_text())["word"] == case["verdict"]
    assert [folder.name for folder in site.results.iterdir()] == [case["case"]]
    assert not list((site.remote / "cases").iterdir())
