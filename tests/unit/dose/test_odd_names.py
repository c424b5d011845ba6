"""Names in plans and structure sets reach messages as visible characters, and verdicts not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.odd_text import hidden, odd_texts
from tests.standin.small import beam
from tests.unit.dose.test_densities import PMMA, TOO_DENSE, WHOLE, staged, structure

from mqi_communicator.dicom.problem import refusal
from mqi_communicator.dicom.records import ShifterSetting
from mqi_communicator.dose.prepare.shifter_setting import resolved
from mqi_communicator.dose.range_shifter import RangeShifter

pytestmark = pytest.mark.pure
DECLARED = {"RS": RangeShifter(34.0, 1, 1.19, "plan", (0.0, 400.0), {"EXTENDED": "IN"})}
NUMBERS = st.sampled_from((float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e300))


@given(odd_texts())
def test_range_shifters_and_machines_are_named_in_visible_characters(text):
    named = replace(beam(), machine=text, name=text)
    for one in (ShifterSetting(text, "IN", 1.0, 1.0), ShifterSetting("RS", text, 1.0, 1.0)):
        if (found := resolved(text, named, one, DECLARED)) is not None and text not in ("IN", "OUT", "RS", "EXTENDED"):
            assert not hidden(refusal([replace(found, file="RP.dcm")]).reason)


@given(NUMBERS)
def test_a_setting_that_is_no_number_is_refused_by_name(value):
    for one, words in (
        (ShifterSetting("RS", "IN", 100.0, value), "RangeShifterWaterEquivalentThickness (300A,0366)"),
        (ShifterSetting("RS", "IN", value, 34.0), "IsocenterToRangeShifterDistance (300A,0364)"),
    ):
        found = resolved("RP.dcm", beam(), one, DECLARED)
        if (value == 1e300 and one.wet == value) or (value == 0.0 and one.distance == value):
            continue  # a length, if one of another device
        assert words in str(found)


@pytest.mark.parametrize("properties", [PMMA, TOO_DENSE])
def test_structures_are_named_in_visible_characters_and_not_in_a_verdict(properties):
    name = "canary\x1b[31m\u202e\u200b"
    draft = staged(structure(WHOLE, properties, name=name))
    for problem in draft.problems:
        assert not hidden(str(problem))
    assert not any("canary" in one.note or "canary" in one.scope for one in draft.cautions)
    assert draft.problems or draft.cautions
