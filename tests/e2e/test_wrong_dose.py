"""A planted error ends in the verdict, and in the check, that the documentation promises: two kinds in one run."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from tests.e2e.wrong_doses import SHORT, computed, ends_as_promised


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    with computed(tmp_path_factory.mktemp("wrong-dose"), SHORT) as evening:
        yield evening


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.timeout(840)
def test_a_planted_error_ends_as_promised(evening, kind):
    ends_as_promised(evening.cases[kind], kind)


@pytest.mark.long
def test_a_report_asked_for_says_the_same(evening):
    site = evening.site
    results = Path(str(evening.cases["range-error"]["results"]))
    assert not (results / "report.html").exists()
    assert "report: none, report.draw is false" in site.mqi("show", "range-error").stdout
    assert "generated" in site.mqi("report", "range-error").stdout
    document = json.loads((results / "verdict.json").read_text())
    text = html.unescape((results / "report.html").read_text("utf-8"))
    assert document["why"] in text
    assert ">FAIL<" in text
    reported = {file["name"] for file in json.loads((results / "manifest.json").read_text())["outputs"]}
    assert {"report.html", "report.pdf"} <= reported


def test_the_exit_code_says_that_not_all_passed(evening):
    assert evening.answer.returncode == 1
