"""Cases of patients in other positions, or with uneven slices, are judged and reported; what was assumed is said."""

from __future__ import annotations

import html
import json

import pytest
from tests.judged import judged


def checks(case):
    document = json.loads((case.spool.results / "verdict.json").read_text())
    return {check["name"]: (check["word"], check["note"]) for check in document["checks"] if check["scope"] == "plan"}


def without_position(draft):
    for setup in draft.object("RP.dcm").PatientSetupSequence:
        setup.PatientPosition = ""


def uneven(draft):
    for index, ds in enumerate(draft.objects("CT.")):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z + 0.5 * (index % 2)]


def test_a_dose_of_another_position_is_compared_where_it_belongs(tmp_path):
    case = judged(tmp_path, "decubitus")
    assert case.word == "pass"
    assert "patient_position" not in checks(case)


@pytest.mark.long
def test_an_assumed_position_needs_a_review_and_is_reported(tmp_path):
    case = judged(tmp_path, "decubitus", change=without_position)
    assert case.word == "review"
    found = checks(case)
    note = "the plan has no PatientPosition (0018,5100); the CT's is used: HFDR"
    assert found.pop("patient_position") == ("review", note)
    assert {word for word, _ in found.values()} == {"pass"}
    page, _ = case.report()
    assert note in html.unescape(page)


def test_interpolated_slices_are_in_the_verdict(tmp_path):
    case = judged(tmp_path, "feet-first", change=uneven)
    word, note = checks(case)["ct_slices"]
    assert word == "pass"
    assert note.startswith("the CT's slices are unevenly spaced, 5.5 to 6.5 mm")
