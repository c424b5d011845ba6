"""Clinical goals: as text, in both doses, with noise, outside the grid, and as a check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.results.clinical_goals import ClinicalGoals, goal_of
from mqi_communicator.results.goal_check import goal_check
from mqi_communicator.results.goal_result import GoalOutcome
from mqi_communicator.results.goals import Anatomy, GoalDoses, goals_of
from mqi_communicator.results.verdict import CheckOutcome

pytestmark = pytest.mark.pure

GRID = Grid((25, 41, 41), (-40.0, -40.0, -36.0), (2.0, 2.0, 3.0))
COURSE = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
SQUARE = np.array([[-20.0, -20], [20, -20], [20, 20], [-20, 20]])
TARGET = tuple((z, SQUARE) for z in np.arange(-15.0, 16, 3))
ANATOMY = Anatomy(((7, "PTV_60", TARGET),), {7: 60.0})


def moved(mm):
    return SQUARE + np.array([mm, 0.0])


def flat(gy=60.0, slope=0.0, dose_type=COURSE):
    """A dose that rises along x by `slope` Gy per mm."""
    _z, _y, x = np.meshgrid(*GRID.axes(), indexing="ij")
    return Dose(GRID, (gy + slope * x).astype(np.float32), dose_type, None)


def noisy(dose, sigma, seed=3):
    rough = np.random.default_rng(seed).normal(size=dose.gy.shape).astype(np.float32)
    return replace(dose, gy=dose.gy + sigma * rough)


def judged(*goals, planned=None, computed=None, sigma=0.0, anatomy=ANATOMY, name="PTV*", fractions=30):
    planned = flat() if planned is None else planned
    computed = planned if computed is None else computed
    variance = None if sigma is None else np.full_like(computed.gy, sigma**2)
    doses = GoalDoses(planned, computed, variance, fractions)
    return goals_of(ClinicalGoals(structures={name: goals}), anatomy, doses)


@pytest.mark.parametrize(
    ("text", "quantity", "unit"),
    [
        ("D95% >= 95 %", "D", "%"),
        ("D2%<=63Gy", "D", "Gy"),
        ("D0.03cc <= 45 Gy(RBE)", "D", "Gy(RBE)"),
        ("V20Gy <= 30 %", "V", "%"),
        ("V50%  ≥ 100 cc", "V", "cc"),
        ("Dmean <= 1.2 Gy per fraction", "mean", "Gy"),
    ],
)
def test_a_goal_is_read(text, quantity, unit):
    made = goal_of(text)
    assert (made.quantity, made.unit) == (quantity, unit)


@pytest.mark.parametrize(
    "text",
    ["", "D95", "D95% = 60 Gy", "D95% >= 60 cc", "V20Gy <= 30 Gy", "D120% >= 1 Gy", "V20Gy >= 120 %", "D95% > 5"],
)
def test_what_is_no_goal_is_refused(text):
    with pytest.raises(ValueError, match=r"goal|must be in|cannot be more"):
        ClinicalGoals(structures={"PTV": (text,)})


def test_values_are_those_of_a_known_dose():
    """Dose from 56 to 64 Gy over the target, evenly."""
    found = {
        made.goal: made
        for made in judged(
            "D95% >= 95 %",
            "D2% <= 64 Gy",
            "D0.5cc <= 70 Gy",
            "V62Gy <= 30 %",
            "V100% >= 20 cc",
            "Dmean <= 2 Gy per fraction",
            planned=flat(slope=0.2),
        )
    }
    volume = 40 * 40 * 33 / 1000
    assert found["D95% >= 95 %"].planned == pytest.approx(100 * 56.4 / 60, abs=0.1)
    assert found["D2% <= 64 Gy"].planned == pytest.approx(63.84, abs=0.05)
    assert found["D0.5cc <= 70 Gy"].planned == pytest.approx(64 - 8 * 0.5 / volume, abs=0.05)
    assert found["V62Gy <= 30 %"].planned == pytest.approx(25, abs=0.6)
    assert found["V100% >= 20 cc"].planned == pytest.approx(volume / 2, rel=0.02)
    assert found["Dmean <= 2 Gy per fraction"].planned == pytest.approx(2.0, abs=1e-3)
    assert found["D95% >= 95 %"].outcome is GoalOutcome.NOT_MET
    assert found["D95% >= 95 %"].planned_meets is False
    assert found["D2% <= 64 Gy"].outcome is GoalOutcome.MET


def test_a_dose_of_one_fraction_is_compared_with_goals_of_the_course():
    one = flat(2.0, dose_type=replace(COURSE, extent=Extent.FRACTION))
    course, fraction = judged("Dmean >= 59 Gy", "Dmean >= 1.9 Gy per fraction", planned=one)
    assert course.planned == pytest.approx(60, abs=1e-3)
    assert fraction.planned == pytest.approx(2, abs=1e-4)


def test_noise_moves_a_value_and_widens_its_uncertainty():
    """D2 rises and D98 falls with noise; the interval contains the value without noise."""
    sigma, true = 1.5, flat(slope=0.02)
    for text in ("D2% <= 90 Gy", "D98% >= 20 Gy", "D0.03cc <= 90 Gy", "Dmean <= 90 Gy", "V60Gy >= 1 %"):
        (clean,) = judged(text, planned=true)
        (made,) = judged(text, planned=true, computed=noisy(true, sigma), sigma=sigma)
        assert made.low <= clean.computed <= made.high, text
    (high,) = judged("D2% <= 90 Gy", planned=true, computed=noisy(true, sigma), sigma=sigma)
    (low,) = judged("D98% >= 20 Gy", planned=true, computed=noisy(true, sigma), sigma=sigma)
    assert high.computed > high.planned + 0.5
    assert high.low < high.planned + 0.2
    assert low.computed < low.planned - 0.5
    assert low.high > low.planned - 0.2


def test_a_goal_that_only_noise_breaks_is_undecided():
    """D2 of a flat dose of 60 Gy is 60 Gy; noise of 1.5 Gy raises it above 61 Gy."""
    (made,) = judged("D2% <= 61 Gy", computed=noisy(flat(), 1.5), sigma=1.5)
    assert made.computed > 61
    assert made.outcome is GoalOutcome.UNDECIDED
    (broken,) = judged("D2% <= 61 Gy", computed=noisy(flat(66.0), 1.5), sigma=1.5)
    assert broken.outcome is GoalOutcome.NOT_MET
    assert broken.planned_meets is True
    (unknown,) = judged("D2% <= 65 Gy", sigma=None)
    assert unknown.outcome is GoalOutcome.UNDECIDED
    assert "unknown" in unknown.note


def test_a_structure_that_is_not_on_the_grid_is_not_judged():
    wide = tuple((z, moved(22.0)) for z in np.arange(-15.0, 16, 3))
    (made,) = judged("D95% >= 50 Gy", anatomy=Anatomy(((7, "PTV", wide),), {}))
    assert made.outcome is GoalOutcome.NOT_JUDGED
    assert made.note == "4.8 % of the structure is outside the dose grids"
    away = tuple((z, moved(200.0)) for z in np.arange(-15.0, 16, 3))
    (made,) = judged("D95% >= 50 Gy", anatomy=Anatomy(((7, "PTV", away),), {}))
    assert (made.outcome, made.planned) == (GoalOutcome.NOT_JUDGED, None)


def test_rbe_and_physical_dose_are_not_mixed():
    (made,) = judged("D95% >= 50 Gy(RBE)")
    assert made.outcome is GoalOutcome.NOT_JUDGED
    assert made.note == "the goal is in Gy(RBE), the planned dose in Gy"


def test_per_cent_needs_the_prescription_of_the_structure():
    two = ((7, "PTV_60", TARGET), (8, "PTV_50", TARGET), (9, "PTV_x", TARGET))
    found = judged("D95% >= 95 %", anatomy=Anatomy(two, {7: 60.0, 8: 50.0}))
    assert [made.planned and round(made.planned) for made in found] == [100, 120, None]
    assert found[2].outcome is GoalOutcome.NOT_JUDGED
    assert "write the goal in Gy" in found[2].note
    assert judged("D95% >= 95 %", anatomy=Anatomy(two, {None: 60.0}))[2].outcome is GoalOutcome.MET


def test_names_are_matched_without_regard_to_case_and_never_reported():
    assert judged("D95% >= 1 Gy", name="ptv_??")[0].structure == 7
    assert judged("D95% >= 1 Gy", name="CTV*") == ()
    assert "PTV" not in repr(judged("D95% >= 1 Gy"))


def test_goals_become_a_check_only_if_the_site_wants_it():
    met = judged("D95% >= 50 Gy")
    broken = judged("D2% <= 61 Gy", computed=flat(66.0))
    both = judged("D95% >= 70 Gy")
    open_ = judged("D2% <= 65 Gy", sigma=None)
    outside = judged("D95% >= 50 Gy(RBE)")

    def outcome(goals, check="fail"):
        return goal_check(ClinicalGoals(check=check), goals)[0].outcome

    assert goal_check(ClinicalGoals(), broken) == ()
    assert outcome(met) is CheckOutcome.PASS
    assert outcome((*met, *broken)) is CheckOutcome.FAIL
    assert outcome(broken, "review") is CheckOutcome.REVIEW
    assert outcome(both) is CheckOutcome.REVIEW
    assert outcome(open_) is CheckOutcome.UNDECIDED
    assert outcome(outside) is CheckOutcome.REVIEW
    assert outcome(()) is CheckOutcome.REVIEW
    assert "structure 7 D2% <= 61 Gy (computed 66.01 Gy)" in goal_check(ClinicalGoals(check="fail"), broken)[0].note
