"""The beam model is changed while a case is computed, or before it is judged again: its dose is not of that model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.judged import CONVENTIONS, KnownDose, judged

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.tasks.beam import keep_beam_dose
from mqi_communicator.flow.tasks.judge import judge_case

NEW_ENGINE: Any = KnownDose("pass", "tiny", 0.01, model="sha256 bbbb")
NEW = Preparer(NEW_ENGINE, PreparationOptions())


def tokens(case):
    return {job.beam: job.token for job in case.record.runs}


def test_a_dose_of_another_model_is_not_read_as_one_of_this(tmp_path):
    case = judged(tmp_path)
    (number, token), *_ = tokens(case).items()
    with pytest.raises(ActionRequired) as reported:
        keep_beam_dose(case.spool, number, token, NEW, {})
    assert "beam_model/MQI-DEMO sha256 aaaa" in str(reported.value)
    assert "sha256 bbbb" in str(reported.value)
    assert "copy its folder in again" in reported.value.advice


@pytest.mark.parametrize("kept", [True, False])
def test_a_kept_dose_is_not_judged_as_one_of_another_model(tmp_path, kept):
    case = judged(tmp_path)
    assert case.word == "pass"
    if not kept:
        case.spool.recipe.unlink()
    same: Any = KnownDose("pass", "tiny", 0.01)
    now = NEW if kept else Preparer(same, PreparationOptions())
    word, why, _ = judge_case(case.spool, tokens(case), now, case.judgement, CONVENTIONS, case.record.basis)
    assert word == "not_judged"
    assert "computed with" in why
    assert json.loads((case.spool.results / "verdict.json").read_text())["word"] == "not_judged"
