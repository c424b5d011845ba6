"""A dose counts as what it was computed with, whatever the configuration says by now."""

from __future__ import annotations

from typing import Any

import pytest

from mqi_communicator.dose.recipe import NOISE_SETTINGS, UNKNOWN, changes, evidence_of, job_changes, recipe_of

THEN = {
    "engine": "E",
    "dose": "to medium",
    "seed": "1",
    "beam_model/G1": "sha256 a",
    "range_shifter/G1/RS_3CM": "WET 34.3 mm",
    "curve/M|S|T": "sha256 c",
}
OTHERS = {
    "beam_model/G2": "sha256 b",
    "range_shifter/G1/RS_5CM": "WET 57 mm",
    "range_shifter/G2/RS_3CM": "WET 35 mm",
    "curve/other": "sha256 d",
}


class Engine:
    """An engine in a configuration."""

    def __init__(self, **other: str) -> None:
        self.output = {**THEN, **OTHERS, **other}

    def recipe(self):
        return self.output

    def evidence(self):
        return {name: f"{words}, signed" for name, words in self.output.items()}


def engine(other: dict[str, str] | None = None) -> Any:
    return Engine(**(other or {}))


class Shifter:
    id = "RS_3CM"


class Layer:
    shifters = (Shifter(),)


class Beam:
    machine = "G1"
    layers = (Layer(),)


class Case:
    """Stands for a plan and a CT."""

    beams = (Beam(),)
    scanner = "M|S|T"
    manufacturer = "Maker "


def test_what_is_kept_is_the_part_that_the_case_rests_on():
    case: Any = Case()
    other = {"outside_body/another": "air"}
    assert recipe_of(engine(other), case, case) == {**THEN, "outside_body/maker": "as_scanned"}
    assert recipe_of(engine({"outside_body/maker": "air"}), case, case) == {**THEN, "outside_body/maker": "air"}


def test_what_is_outside_the_body_counts_as_scanned_until_the_site_says_otherwise():
    then = {**THEN, "outside_body/maker": "as_scanned"}
    assert changes(then, engine()) == ()
    assert changes(then, engine({"outside_body/another": "air"})) == ()
    (sentence,) = changes(then, engine({"outside_body/maker": "air"}))
    assert "outside_body/maker as_scanned, and the configuration now has air" in sentence
    assert changes({**THEN, "outside_body/maker": "air"}, engine()), "the setting was removed"


def test_a_case_of_an_earlier_version_was_computed_as_scanned():
    assert changes(THEN, engine({"outside_body/maker": "as_scanned"})) == ()
    assert len(changes(THEN, engine({"outside_body/maker": "air"}))) == 1


def test_a_model_that_the_case_does_not_use_changes_nothing():
    assert changes(THEN, engine({"beam_model/G2": "sha256 z"})) == ()


@pytest.mark.parametrize("name", [name for name in THEN if name not in NOISE_SETTINGS])
def test_whatever_shapes_the_dose_is_named_with_both_values(name):
    (sentence,) = changes(THEN, engine({name: "another"}))
    assert name in sentence
    assert THEN[name] in sentence
    assert "another" in sentence


def test_chance_may_change_and_the_manifest_says_what_it_was():
    now = engine({"seed": "2"})
    assert changes(THEN, now) == ()
    assert evidence_of(THEN, now)["seed"] == "1"
    assert evidence_of(THEN, now)["beam_model/G1"] == "sha256 a, signed"


def test_the_manifest_never_names_a_model_that_did_not_compute_the_dose():
    assert evidence_of(THEN, engine({"beam_model/G1": "sha256 z"})) == THEN


def test_a_case_of_which_nothing_was_kept_is_vouched_for_by_nobody():
    assert changes({}, engine()) == (UNKNOWN,)
    assert evidence_of({}, engine()) == {}


def test_what_input_and_job_must_agree_on_changes_no_dose_and_is_in_no_manifest():
    then = {**THEN, "job": "2 runs"}
    assert changes(then, engine({"job": "1 run"})) == ()
    assert "job" not in evidence_of(then, engine({"job": "1 run"}))
    assert "job" not in evidence_of(then, engine({"job": "1 run", "dose": "to water"}))


def test_a_job_for_another_input_is_named_with_both_values():
    then = {**THEN, "job": "2 runs"}
    assert job_changes(then, engine({"job": "2 runs"})) == ()
    assert job_changes(THEN, engine({"job": "1 run"})) == (), "by a version that did not keep it"
    (sentence,) = job_changes(then, engine({"job": "1 run"}))
    assert "job of 2 runs, and the configuration now has 1 run" in sentence
