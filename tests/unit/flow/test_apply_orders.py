"""Orders about cases that have failed."""

from __future__ import annotations

import pytest

from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem
from mqi_communicator.flow.transitions.orders import moves_of_order

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(("step", "again"), [("deliver", "compare"), ("compare", "compare"), ("admit", "admit")])
def test_a_retry_starts_at_a_step_whose_outcome_can_change(step, again):
    failed = WorkItem("k1", CASE_ITEM, step, status=Status.FAILED, due=1.0, reason="the results differ")
    ((before, after),), _answer = moves_of_order("retry", [failed], 5.0)
    assert before == failed
    assert (after.step, after.status, after.due) == (again, Status.READY, 5.0)


def test_a_case_cancelled_at_its_delivery_continues_there():
    cancelled = WorkItem("k1", CASE_ITEM, "deliver", status=Status.CANCELLED, due=1.0)
    ((_before, after),), _answer = moves_of_order("retry", [cancelled], 5.0)
    assert after.step == "deliver"


@pytest.mark.parametrize(
    ("step", "again"), [("admit", "admit"), ("prepare", "prepare"), ("upload", "upload"), ("compare", "upload")]
)
def test_a_case_whose_beams_are_computed_again_repeats_its_upload(step, again):
    """A case that is being extended gets another input at `prepare`: the first run's must not be computed once more."""
    own = WorkItem("k1", CASE_ITEM, step, status=Status.CANCELLED, due=1.0)
    beam = WorkItem("k1", 1, "submit", status=Status.CANCELLED, run=2, due=1.0)
    ((_own, case), (_beam, run)), _answer = moves_of_order("retry", [own, beam], 5.0)
    assert (case.step, case.status, case.due) == (again, Status.READY, 5.0)
    assert (run.step, run.status, run.run) == ("submit", Status.READY, 3)


def test_a_delivered_case_cannot_be_cancelled():
    """A fault round found it: the case counted as cancelled beside its results, and was computed once more."""
    tidying = WorkItem("k1", CASE_ITEM, "tidy", status=Status.WAITING, due=1.0)
    moves, answer = moves_of_order("cancel", [tidying, WorkItem("k1", 1, "verify", status=Status.DONE, due=1.0)], 5.0)
    assert moves == []
    assert "delivered" in answer


def test_a_case_that_could_not_be_tidied_can_be_cancelled():
    failed = WorkItem("k1", CASE_ITEM, "tidy", status=Status.FAILED, due=1.0)
    ((_before, after),), _answer = moves_of_order("cancel", [failed], 5.0)
    assert after.wanted == "cancel"
