"""The cause of a verdict: one sentence about the error that explains the others, with no name of a check in it."""

from __future__ import annotations

import pytest
from tests.unit.results.wrongs import ERRORS, verdict

from mqi_communicator.case.numbers import fixed, short, value_text
from mqi_communicator.results.verdict import Check, CheckOutcome, worst

FAIL, PASS = CheckOutcome.FAIL, CheckOutcome.PASS
UNITS = {"dose_scale": "ratio", "gamma": "%", "uncertainty": "%"}


def check(name: str, scope: str, value: float | None, outcome: CheckOutcome = FAIL, note: str = "a note") -> Check:
    return Check(name, scope, outcome, value, UNITS.get(name, "mm"), "a limit", 1, None, note)


def why(*checks: Check) -> str:
    return worst(checks).why


def beams(name: str, *values: float) -> tuple[Check, ...]:
    return tuple(check(name, f"beam {number}", value) for number, value in enumerate(values, 1))


@pytest.mark.pure
def test_a_wrong_range_explains_shift_gamma_and_dose():
    others = (check("gamma", "plan", 88.0), check("dose_scale", "plan", 0.95))
    text = why(*others, *beams("position_offset", 5.0, 5.1), *beams("range_r80", 4.96, 5.04))
    assert text == "the computed range is 5 mm deeper than planned"


@pytest.mark.pure
def test_a_shift_of_one_beam_that_its_range_does_not_explain_comes_first():
    text = why(*beams("position_offset", 3.0, 3.0), check("range_r80", "beam 1", -3.0), *beams("falloff_r80_r20", 9.0))
    assert text == "the computed dose is shifted by 3 mm"


RBE = "x; the ratio is near an RBE factor of 1.1: y"
GAMMA = "88.0 % of 9 points within 3 % / 2 mm, global"
NO_EDGE = "the computed dose has no distal edge on 9 of 9 rays"
CT_ENDS = "the CT ends within the treated region"
TOO_NOISY = check("uncertainty", "plan", 1.8, CheckOutcome.UNDECIDED)
ONE_OF_TWO = (check("range_r80", "beam 1", -2.7), check("range_r80", "beam 2", 0.1, PASS))


@pytest.mark.pure
@pytest.mark.parametrize(
    ("checks", "text"),
    [
        (ONE_OF_TWO, "the computed range is 2.7 mm shallower than planned (beam 1)"),
        (beams("range_r80", 5.0, -5.0), "the computed range is 5 mm deeper than planned (beam 1)"),
        (beams("falloff_r80_r20", -4.0), "the computed distal falloff is 4 mm shorter than planned"),
        (beams("penumbra", 2.5), "the computed penumbra is 2.5 mm wider than planned"),
        ((check("dose_scale", "plan", 0.95), *beams("dose_scale", 0.9)), "the computed dose is 5 % lower than planned"),
        ((check("dose_scale", "plan", 1.1, note=RBE),), "the dose ratio is near an RBE factor of 1.1: y"),
        ((check("gamma", "plan", 88.04, note=GAMMA),), "only 88 % of the points agree within 3 %/2 mm"),
        ((check("range_r80", "beam 1", None, note=NO_EDGE),), NO_EDGE),
        ((TOO_NOISY,), "the statistical uncertainty is 1.8 %, too high for a verdict"),
        ((check("ct_ends", "plan", 30.0, CheckOutcome.REVIEW, CT_ENDS),), CT_ENDS),
    ],
)
def test_each_cause_is_a_sentence(checks, text):
    assert why(*checks) == text


@pytest.mark.parametrize("name", [name for name in ERRORS if "range" in name or "scaled" in name or "shifted" in name])
def test_the_cause_of_a_wrong_dose_is_what_is_wrong_with_it(name):
    text = verdict("small", name, quick=True).why
    if "range" in name:
        assert text.startswith(("the computed range is 5 mm deeper", "the computed range is 4.9 mm deeper"))
    elif "scaled" in name:
        assert text == f"the computed dose is 4 % {'higher' if '+' in name else 'lower'} than planned"
    else:
        assert text == "the computed dose is shifted by 3 mm"


@pytest.mark.pure
def test_no_number_is_a_minus_zero():
    assert [fixed(-0.04, 1), fixed(-0.04, 1, sign=True), fixed(0.04, 1, sign=True)] == ["0.0", "0.0", "0.0"]
    assert [fixed(-0.06, 1), fixed(0.06, 1, sign=True), short(-0.04), short(5.04), short(10.0)] == [
        "-0.1", "+0.1", "0", "5", "10",
    ]  # fmt: skip
    assert value_text(-0.01, "mm", "range_r80") == "0.0 mm"
    assert value_text(-0.4, "mm", "range_r80") == "-0.4 mm"
    assert [value_text(0.4, "mm", "range_r80"), value_text(0.4, "mm", "position_offset")] == ["+0.4 mm", "0.4 mm"]
    assert [value_text(1.0021, "ratio"), value_text(98.7, "%"), value_text(None, "%")] == ["1.002", "98.70 %", "–"]
