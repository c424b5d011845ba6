"""What a plan says about itself: approval, intent, distances of the source."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.standin.small import beam, plan, volume

from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.prepare.attributes import check_attributes
from mqi_communicator.dose.prepare.draft import Draft
from mqi_communicator.dose.prepare.options import PreparationOptions, Severity

pytestmark = pytest.mark.pure

MODELS: Any = SimpleNamespace(
    machine=lambda _: MachineModel((2234.8, 1859.1)), ratio=lambda _: None, tube_voltage=lambda _: None
)


def checked(options=None, beams=(), **plan_changes):
    made = replace(plan(*(beams or (beam(),))), **plan_changes)
    return check_attributes(Draft(made, volume(), None), MODELS, options or PreparationOptions())


def cautions(draft, name):
    return [one for one in draft.cautions if one.name == name]


def test_an_approved_plan_of_a_patient_has_nothing_to_report():
    draft = checked(approval="APPROVED", intent="CURATIVE")
    assert (draft.problems, draft.cautions) == ((), ())


def test_a_rejected_plan_is_refused_unless_the_site_reviews_it():
    (problem,) = checked(approval="REJECTED").problems
    assert "REJECTED (ApprovalStatus (300E,0002))" in problem.found
    draft = checked(PreparationOptions(rejected=Severity.REVIEW), approval="REJECTED")
    assert draft.problems == ()
    assert [one.review for one in cautions(draft, "approval")] == [True]


@pytest.mark.parametrize("status", ["UNAPPROVED", ""])
@pytest.mark.parametrize("severity", list(Severity))
def test_the_site_decides_about_a_plan_that_is_not_approved(status, severity):
    draft = checked(PreparationOptions(not_approved=severity), approval=status)
    assert len(draft.problems) == (severity is Severity.REFUSE)
    assert [one.review for one in cautions(draft, "approval")] == {"note": [False], "review": [True], "refuse": []}[
        severity
    ]


@pytest.mark.parametrize(("intent", "count"), [("MACHINE_QA", 1), ("VERIFICATION", 1), ("PALLIATIVE", 0), ("", 0)])
def test_another_intent_is_a_note(intent, count):
    found = cautions(checked(approval="APPROVED", intent=intent), "intent")
    assert [one.review for one in found] == [False] * count


@pytest.mark.parametrize(
    ("sad", "review", "words"),
    [
        ((2234.8, 1859.1), False, "2234.8 and 1859.1"),
        ((2250.0, 1850.0), False, "2250"),
        ((2000.0, 1859.1), True, "2000"),
        ((1859.1, 2234.8), True, "x and y are swapped"),
    ],
)
def test_the_source_of_another_machine_calls_for_a_review(sad, review, words):
    (found,) = cautions(checked(beams=(replace(beam(), sad=sad),)), "source_distance")
    assert (found.review, words in found.note) == (review, True)


def test_a_plan_without_distances_and_a_machine_without_a_model_are_not_compared():
    assert cautions(checked(), "source_distance") == []
    unknown: Any = SimpleNamespace(machine=lambda _: None, tube_voltage=lambda _: None)
    made = plan(replace(beam(), sad=(1.0, 1.0)))
    assert (
        cautions(check_attributes(Draft(made, volume(), None), unknown, PreparationOptions()), "source_distance") == []
    )


@pytest.mark.parametrize(
    ("of_ct", "of_curve", "words"),
    [
        ((120.0,), 120.0, None),
        ((120.0,), None, None),
        ((), None, None),
        ((120.4,), 120.0, None),
        ((140.0,), 120.0, "the CT has 140 kV (KVP (0018,0060)), the conversion of its scanner is for 120 kV"),
        ((120.0, 140.0), None, "120 and 140 kV"),
        ((120.0, 140.0), 120.0, "120 and 140 kV"),
        ((), 120.0, "no kV"),
    ],
)
def test_another_tube_voltage_than_the_curves_calls_for_a_review(of_ct, of_curve, words):
    models: Any = SimpleNamespace(machine=lambda _: None, tube_voltage=lambda _: of_curve)
    draft = Draft(replace(plan(beam()), approval="APPROVED"), replace(volume(), kvp=of_ct), None)
    found = check_attributes(draft, models, PreparationOptions()).cautions
    assert [one.review for one in found] == [True] * (words is not None)
    assert all(words in one.note for one in found)
