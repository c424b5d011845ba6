"""Planted errors of a dose, and how a case with each ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import Site

from mqi_communicator.demo.host import PrivateHost

HISTORIES = 200_000  # per beam of `tiny`: 1.8 % where its dose is at least half of its maximum, 1.3 % for the plan
BEAMS = ("plan", "beam 1", "beam 2")


@dataclass(frozen=True)
class Promise:
    """How a kind of sample ends: the verdict, each check that says so, and what `mqi status` tells of it."""

    word: str
    checks: frozenset[tuple[str, str]]  # (name, scope) of the checks that gave this word
    reported: str = ""  # in the reason of the verdict, or in what the named checks say


def of(name: str, *scopes: str) -> frozenset[tuple[str, str]]:
    return frozenset((name, scope) for scope in scopes)


PROMISES: dict[str, Promise] = {
    "pass": Promise("pass", frozenset()),
    "range-error": Promise(
        "fail", of("range_r80", "beam 1", "beam 2"), "the computed range is 5 mm deeper than planned"
    ),
    "scale-error": Promise("fail", of("dose_scale", *BEAMS)),
    "shift-error": Promise("fail", of("position_offset", "beam 1", "beam 2")),
    "swapped-beams": Promise("fail", of("position_offset", "beam 1", "beam 2")),
    "fraction-dose": Promise("fail", of("dose_scale", *BEAMS), "number of fractions"),
    "rbe-dose": Promise("fail", of("dose_scale", *BEAMS), "1.1"),
    "lying-rbe": Promise("fail", of("dose_scale", *BEAMS), "1.1"),
    "sum-mismatch": Promise("fail", of("dose_scale", "plan"), "planned"),
    "no-dose": Promise("not_judged", frozenset(), "no planned dose"),
    "sum-only": Promise("review", of("beam_doses", "plan"), "only the sum"),
    "beams-only": Promise("pass", frozenset()),
}
SHORT = ("pass", "range-error")  # in ./test.sh; the others are in --long


@dataclass(frozen=True)
class Evening:
    """One run of `mqi once`: how it ended, the cases by kind as `mqi status` has them, and the site."""

    answer: subprocess.CompletedProcess[str]
    cases: dict[str, dict[str, object]]
    site: Site


@contextmanager
def computed(folder: Path, kinds: Iterable[str]) -> Iterator[Evening]:
    """Cases of these kinds through one communicator."""
    resources: dict[str, object] = {"jobs": 2, "workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1}
    with PrivateHost(folder / "host") as host:
        site = Site(folder, host, resources=resources, engine={"histories_per_beam": HISTORIES})
        for kind in kinds:
            site.drop(kind, kind=kind)
        answer = site.mqi("once", timeout=800)
        cases = {str(case["folder"]): case for case in site.status()}
    assert set(cases) == set(kinds), answer.stderr
    yield Evening(answer, cases, site)


def ends_as_promised(case: dict[str, object], kind: str) -> None:
    """The verdict, and the checks that give it, are those of the documentation."""
    promise = PROMISES[kind]
    assert case["verdict"] == promise.word, case["why"]
    document = json.loads((Path(str(case["results"])) / "verdict.json").read_text())
    blamed = {(check["name"], check["scope"]) for check in document["checks"] if check["word"] == promise.word}
    if promise.checks:
        assert promise.checks <= blamed, document["why"]
    assert promise.reported in document["why"] + " ".join(check["note"] for check in document["checks"])
