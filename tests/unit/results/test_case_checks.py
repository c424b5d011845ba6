"""Checks of the case itself: extent of the CT, patient position, ignored doses, beam numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import (
    Beam,
    Biology,
    CTVolume,
    Dose,
    DoseType,
    Extent,
    Grid,
    IonPlan,
    Layer,
    Medium,
)
from mqi_communicator.flow.tasks.judge import number_in
from mqi_communicator.results.case_checks import case_cautions

LAYER = Layer(120.0, np.zeros((1, 2)), np.ones(1))
BEAM = Beam(1, "one", "M", 0.0, 0.0, (0.0, 0.0, 0.0), 1.0, 1.0, (LAYER,))
PLAN = IonPlan("1.2", "1.3", "1.4", "label", "maker", 1, (BEAM,))
CT_GRID = Grid((10, 4, 4), (0.0, 0.0, 0.0), (5.0, 5.0, 5.0))  # z from 0 to 45 mm
CT = CTVolume(CT_GRID, np.zeros(CT_GRID.shape, np.float32), "1.3", "1.5", ("1.6",) * 10, "a|b|c")
MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)


def planned(first_z, levels):
    """A dose of one value per plane, 5 mm apart, in Gy."""
    gy = np.ones((len(levels), 3, 3), np.float32) * np.asarray(levels, np.float32)[:, None, None]
    return Dose(Grid(gy.shape, (0.0, 0.0, first_z), (5.0, 5.0, 5.0)), gy, MEANING, None)


def ends(*doses):
    (found,) = (one for one in case_cautions(PLAN, CT, doses) if one.name == "ct_ends")
    return found


@pytest.mark.parametrize(
    ("dose", "share", "review"),
    [
        (planned(0.0, [0.0, 1, 2, 2, 2, 2, 2, 2, 1, 0]), 0.0, False),
        (planned(0.0, [0.1, 1, 2, 2, 2, 2, 2, 2, 1, 0.18]), 9.0, False),
        (planned(0.0, [0.2, 1, 2, 2, 2, 2, 2, 2, 1, 0]), 10.0, True),
        (planned(0.0, [0.0, 1, 2, 2, 2, 2, 2, 2, 2, 2]), 100.0, True),
        (planned(-15.0, [2.0, 1, 0, 0, 0, 1, 2, 1, 0, 0]), 100.0, True),  # beyond the CT's first slice
        (planned(20.0, [2.0, 2, 1, 0, 0, 0, 0, 1]), 50.0, True),  # beyond its last slice
        (planned(15.0, [1.0, 2, 1]), 0.0, False),  # a small dose grid within the CT
        (planned(200.0, [1.0, 2, 1]), 0.0, False),  # nowhere near it: other checks say so
    ],
)
def test_planned_dose_where_the_ct_ends_asks_for_a_review(dose, share, review):
    found = ends(dose)
    assert found.value == pytest.approx(share)
    assert found.review is review
    assert found.note.startswith("the CT has 10 slices, from z = 0 to 45 mm")
    assert ("ends within the treated region" in found.note) is review


def test_the_worst_of_all_planned_doses_counts():
    assert ends(planned(0.0, [0.0, 1, 0]), planned(0.0, [1.0, 1, 0])).review


def test_without_a_planned_dose_the_number_of_slices_is_reported():
    found = ends()
    assert (found.value, found.review) == (None, False)
    assert "10 slices" in found.note


def test_interpolated_slices_are_noted():
    assert not [one for one in case_cautions(PLAN, CT, ()) if one.name == "ct_slices"]
    found = case_cautions(PLAN, replace(CT, notes=("the CT's slices are unevenly spaced",)), ())
    (note,) = (one for one in found if one.name == "ct_slices")
    assert (note.scope, note.review, note.note) == ("plan", False, "the CT's slices are unevenly spaced")


def test_ignored_doses_are_counted_by_reason_without_a_file_name():
    why = ["DoseType (3004,0004) is ERROR", "it is the dose of another plan (300C,0002)"]
    (found,) = (one for one in case_cautions(PLAN, CT, (), [*why, why[1]]) if one.name == "doses_set_aside")
    assert found.review is False
    assert found.note == f"3 RTDOSE files of the folder ignored: 1 x: {why[0]}; 2 x: {why[1]}"


def test_a_beam_with_another_number_is_reported_and_its_planned_dose_is_found():
    plan = replace(PLAN, beams=(replace(BEAM, number=3, plan_number=0), replace(BEAM, number=2)))
    (found,) = (one for one in case_cautions(plan, CT, ()) if one.name == "beam_number")
    assert (found.scope, found.review) == ("beam 3", False)
    assert "BeamNumber (300A,00C0) is 0; this program uses 3 instead" in found.note
    assert number_in(plan, 0) == 3
    assert number_in(plan, 2) == 2
    assert number_in(plan, None) is None
    with pytest.raises(Permanent, match="beam 3, which is not a treatment beam of the plan"):
        number_in(plan, 3)


def test_several_paintings_are_noted_for_the_beams_that_have_them():
    once = replace(BEAM, number=2, delivery=replace(BEAM.delivery, paintings=1))
    twice = replace(BEAM, delivery=replace(BEAM.delivery, paintings=2))
    (found,) = (one for one in case_cautions(replace(PLAN, beams=(twice, once)), CT, ()) if one.name == "repainting")
    assert (found.scope, found.review) == ("beam 1", False)
    assert "NumberOfPaintings (300A,039A) is up to 2" in found.note
