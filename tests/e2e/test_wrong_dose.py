"""A planted error ends in the word, and in the check, that the documentation promises: all cases in one run."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.conftest import Site

from mqi_communicator.demo.host import PrivateHost

HISTORIES = 200_000  # per beam of `tiny`: 1.8 % where its dose is at least half of its maximum, 1.3 % for the plan
BEAMS = ("plan", "beam 1", "beam 2")


@dataclass(frozen=True)
class Promise:
    """How a kind of sample ends: the verdict, each check that says so, and what `mqi status` tells of it."""

    word: str
    checks: frozenset[tuple[str, str]]  # (name, scope) of the checks that gave this word
    told: str = ""  # in the reason of the verdict, or in what the named checks say


def of(name: str, *scopes: str) -> frozenset[tuple[str, str]]:
    return frozenset((name, scope) for scope in scopes)


PROMISES: dict[str, Promise] = {
    "pass": Promise("pass", frozenset()),
    "range-error": Promise("fail", of("range_r80", "beam 1", "beam 2")),
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


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """The cases by kind, as `mqi status` and their verdicts tell them."""
    folder = tmp_path_factory.mktemp("wrong-dose")
    resources = {"jobs": 2, "workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1}
    with PrivateHost(folder / "host") as host:
        site = Site(folder, host, resources=resources, engine={"histories_per_beam": HISTORIES})
        for kind in PROMISES:
            site.drop(kind, kind=kind)
        answer = site.mqi("once", timeout=800)
        cases = {str(case["folder"]): case for case in site.status()}
    assert set(cases) == set(PROMISES), answer.stderr
    return answer, cases, site


@pytest.mark.parametrize("kind", PROMISES)
@pytest.mark.timeout(840)
def test_a_planted_error_ends_in_the_word_and_the_check_that_are_promised(evening, kind):
    _answer, cases, _site = evening
    case, promise = cases[kind], PROMISES[kind]
    assert case["verdict"] == promise.word, case["why"]
    document = json.loads((Path(str(case["results"])) / "verdict.json").read_text())
    blamed = {(check["name"], check["scope"]) for check in document["checks"] if check["word"] == promise.word}
    if promise.checks:
        assert promise.checks <= blamed, document["why"]
    assert promise.told in document["why"] + " ".join(check["note"] for check in document["checks"])


def test_a_report_asked_for_says_the_same(evening):
    _answer, cases, site = evening
    results = Path(str(cases["range-error"]["results"]))
    assert not (results / "report.html").exists()
    assert "report: none, report.draw is false" in site.mqi("show", "range-error").stdout
    assert "drawn" in site.mqi("report", "range-error").stdout
    document = json.loads((results / "verdict.json").read_text())
    text = html.unescape((results / "report.html").read_text("utf-8"))
    assert document["why"] in text
    assert ">FAIL<" in text
    told = {file["name"] for file in json.loads((results / "manifest.json").read_text())["outputs"]}
    assert {"report.html", "report.pdf"} <= told


def test_the_exit_code_says_that_not_all_passed(evening):
    assert evening[0].returncode == 1
