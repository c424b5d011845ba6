"""Orders about cases that have failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mqi_communicator.case.model import CASE_ITEM, Priority, Status, WorkItem
from mqi_communicator.flow.transitions.orders import moves_of_order, priority_refusal

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


COMPUTING = (
    WorkItem("k1", CASE_ITEM, "compare", status=Status.WAITING, reason="0 of 1 beams are computed"),
    WorkItem("k1", 1, "follow", status=Status.WAITING, reason="computing"),
)


def having(*items: WorkItem, **values: Any) -> list[WorkItem]:
    return [replace(item, **values) for item in items]


@pytest.mark.parametrize(
    ("order", "items", "words"),
    [
        ("retry", COMPUTING, "the case is waiting, and nothing of it has failed"),
        ("retry", having(*COMPUTING, status=Status.HELD), "the case is held, and nothing"),
        ("retry", having(*COMPUTING, status=Status.DONE), "the case is done, and nothing"),
        ("retry", having(*COMPUTING, wanted="cancel"), "being cancelled"),
        ("hold", having(*COMPUTING, status=Status.HELD), "is held already"),
        ("hold", having(*COMPUTING, status=Status.DONE), "is done already"),
        ("hold", having(*COMPUTING, status=Status.FAILED), "is failed already"),
        ("hold", having(*COMPUTING, wanted="cancel"), "is being cancelled"),
        ("release", COMPUTING, "is not held"),
        ("cancel", having(*COMPUTING, step="tidy", status=Status.DONE), "is done already"),
        ("cancel", having(*COMPUTING, status=Status.CANCELLED), "is cancelled already"),
        ("cancel", having(*COMPUTING, wanted="cancel"), "is being cancelled"),
        ("rejudge", COMPUTING, "only a case that is done"),
    ],
)
def test_an_order_that_does_nothing_moves_nothing_and_says_why(order, items, words):
    moves, answer = moves_of_order(order, items, 5.0)
    assert moves == []
    assert words in answer


@pytest.mark.parametrize("problem", [{"tries": 2}, {"needs_person": True}, {"advice": "renew ssh.known_hosts_file"}])
def test_what_waits_after_a_problem_is_tried_again_at_once(problem):
    waiting = WorkItem("k1", CASE_ITEM, "upload", status=Status.WAITING, due=900.0, **problem)
    ((_before, after),), _answer = moves_of_order("retry", [waiting], 5.0)
    assert (after.due, after.tries) == (5.0, 0)


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED])
def test_what_has_ended_gets_no_priority(status):
    (own,) = having(COMPUTING[0], status=status)
    refused = priority_refusal(own, Priority.ROUTINE, Priority.URGENT)
    assert refused == f"no priority to set: the case is {status} already"


def test_a_priority_is_set_once():
    own = COMPUTING[0]
    assert priority_refusal(own, Priority.ROUTINE, Priority.URGENT) == ""
    assert priority_refusal(own, Priority.URGENT, Priority.URGENT) == "no priority to set: it is urgent already"
    assert "being cancelled" in priority_refusal(replace(own, wanted="cancel"), Priority.ROUTINE, Priority.URGENT)
