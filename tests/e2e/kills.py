"""One case through a communicator that is killed at given points of its steps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from tests.e2e.conftest import Site

ENDS = ("step.done", "case.done", "beam.done")
Point = tuple[str, str]  # a step, and "begin" or "done"


def reached(record: dict[str, object]) -> Point | None:
    """Which point a log line stands for."""
    if record["event"] == "step.started":
        return str(record["step"]), "begin"
    if record["event"] in ENDS:
        return str(record["step"]), "done"
    return None


def killed_at(points: Iterable[Point], site: Site, *, reports: bool = True) -> None:
    """Kill the communicator once at each point: the case ends with its verdict, and no job runs twice."""
    if reports:
        site.reports()
    site.drop()
    missing = set(points)
    for _life in range(3 * len(missing)):
        daemon = site.daemon()
        for record in daemon.events():
            point = reached(record)
            if point in missing:
                missing.remove(point)
                daemon.kill()
                break
            if point == ("tidy", "done"):
                daemon.stop()
                break
        if not missing or point == ("tidy", "done"):
            break
    assert not missing
    answer = site.mqi("once")
    (case,) = site.status()
    assert case["status"] == "done", case
    assert case["verdict"] in ("pass", "review", "undecided"), answer.stderr
    assert Counter(site.starts()) == {f"{case['case']}-b1-r1": 1, f"{case['case']}-b2-r1": 1}
    delivered = site.results / str(case["case"])
    assert json.loads((delivered / "verdict.json").read_text())["word"] == case["verdict"]
    assert [folder.name for folder in site.results.iterdir() if folder.is_dir()] == [case["case"]]
    assert not list((site.remote / "cases").iterdir())
