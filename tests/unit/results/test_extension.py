"""The longer run: required by noise only, declared beforehand, made once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mqi_communicator.results.documents import verdict_document
from mqi_communicator.results.extension import Extension, extension_for, extension_of, histories_needed
from mqi_communicator.results.options import UncertaintyOptions
from mqi_communicator.results.uncertainty import uncertainty_check
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict, unjudged, worst

pytestmark = pytest.mark.pure

LIMITS = UncertaintyOptions(limit_percent=1.5)
DECLARED = Extension(most=10_000_000, first=100_000)
NOISY = uncertainty_check(0.03, LIMITS)  # four times as many histories, and a tenth more
GOOD = Check("gamma", "plan", CheckOutcome.PASS, 99.0, "%", ">= 95 %", 100, 0.03)


def test_noise_alone_requires_the_histories_that_the_check_names():
    asked = extension_for(DECLARED, worst((NOISY, GOOD)), LIMITS)
    assert "4.4 times as many" in NOISY.note
    assert (asked.second, asked.made) == (440_000, False)
    assert asked.summary == "being extended once from 100 000 to 440 000 histories per beam"


@pytest.mark.parametrize(
    "verdict",
    [
        worst((uncertainty_check(0.01, LIMITS), GOOD)),
        worst((uncertainty_check(0.01, LIMITS), replace(GOOD, outcome=CheckOutcome.REVIEW))),
        worst((NOISY, replace(GOOD, outcome=CheckOutcome.FAIL))),
        unjudged((NOISY,), ("nobody signed",)),
        worst((uncertainty_check(None, LIMITS), GOOD)),  # an engine that reports no noise: more histories do not help
        worst((NOISY, replace(GOOD, outcome=CheckOutcome.UNDECIDED))),
        worst(()),
    ],
)
def test_no_other_verdict_requires_a_longer_run(verdict: Verdict):
    asked = extension_for(DECLARED, verdict, LIMITS)
    assert asked == DECLARED
    assert asked.summary == ""


def test_it_is_never_required_twice():
    made = replace(DECLARED, second=440_000, closed=True)
    assert extension_for(made, worst((NOISY,)), LIMITS) == made
    assert made.summary == "extended once from 100 000 to 440 000 histories per beam"
    judged_again = replace(DECLARED, closed=True)
    assert extension_for(judged_again, worst((NOISY,)), LIMITS) == judged_again


@pytest.mark.parametrize(("most", "second"), [(420_000, 420_000), (400_000, 400_000), (399_999, 0), (100_000, 0)])
def test_the_maximum_is_respected_and_a_useless_run_is_not_made(most, second):
    asked = extension_for(replace(DECLARED, most=most), worst((NOISY,)), LIMITS)
    assert asked.second == second
    assert asked.summary.startswith("being extended" if second else "not extended: 440 000 histories per beam are more")


def test_the_stored_text_can_be_read_back():
    longer = replace(DECLARED, second=440_000)
    assert extension_of(longer.text()) == longer
    assert extension_of(longer.text(), closed=True) == replace(longer, closed=True)
    assert extension_of("") is None


def test_the_verdict_contains_it():
    verdict = worst((NOISY,))
    assert verdict_document("k", verdict).extension is None
    reported = verdict_document("k", verdict, replace(DECLARED, second=440_000, closed=True)).extension
    assert reported is not None
    assert reported.model_dump() == {
        "max_histories_per_beam": 10_000_000,
        "first_histories_per_beam": 100_000,
        "histories_per_beam": 440_000,
        "made": True,
        "note": "extended once from 100 000 to 440 000 histories per beam",
    }
    quiet = verdict_document("k", verdict, DECLARED).extension
    assert quiet is not None
    assert (quiet.histories_per_beam, quiet.made, quiet.note) == (None, False, "")


def test_histories_are_rounded_up():
    assert [histories_needed(20_000, factor) for factor in (1.14, 5.03, 11.8)] == [22_000, 100_000, 240_000]
    assert histories_needed(1_234_567, 1.0) == 1_300_000
