"""The verdict detects errors that gamma alone misses: scale, position and range, each by its check."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Biology, Extent, Medium
from mqi_communicator.results.compare import judge
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

pytestmark = pytest.mark.pure

PLAN_GAMMA = JudgementOptions.model_validate({"gamma": {"per_beam": False}})
QUICK = JudgementOptions.model_validate({"gamma": {"per_beam": False, "cutoff_percent": 85}})


def outcomes(verdict: Verdict) -> dict[tuple[str, str], CheckOutcome]:
    return {(check.name, check.scope): check.outcome for check in verdict.checks}


def one(verdict: Verdict, name: str, scope: str) -> Check:
    (check,) = (c for c in verdict.checks if (c.name, c.scope) == (name, scope))
    return check


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.outcome is CheckOutcome.FAIL}


@pytest.fixture
def decide(beams):
    def run(computed, planned=None, options=QUICK, **others):
        plan = others.pop("plan", beams.plan_of())
        conventions = others.pop("conventions", beams.CONVENTIONS)
        doses = beams.planned_doses() if planned is None else planned
        return judge(plan, doses, computed, options, conventions=conventions, **others)

    return run


def test_the_same_dose_on_another_grid_with_noise_passes_every_check(decide, beams):
    verdict = decide(beams.computed_doses(), options=JudgementOptions())
    assert verdict.outcome is CheckOutcome.PASS, verdict
    names = [check.name for check in verdict.checks]
    assert {name: names.count(name) for name in names} == {
        "dose_meaning": 1,
        "planned_sum": 1,
        "uncertainty": 1,
        "gamma": 5,
        "dose_scale": 5,
        "position_offset": 4,
        "range_r80": 4,
        "falloff_r80_r20": 4,
        "penumbra": 4,
    }
    assert 0.2 < one(verdict, "uncertainty", "plan").value < 1.0  # beams of 1 % each, added up


@pytest.mark.parametrize("scale", [1.04, 0.96])
def test_four_percent_pass_gamma_and_fail_dose_scale_by_name(decide, beams, scale):
    verdict = decide(beams.computed_doses(scale=scale), options=PLAN_GAMMA)
    assert verdict.outcome is CheckOutcome.FAIL
    assert failed(verdict) == {"dose_scale"}
    assert one(verdict, "gamma", "plan").outcome is CheckOutcome.PASS
    assert one(verdict, "dose_scale", "plan").value == pytest.approx(scale, abs=0.004)


@pytest.mark.parametrize("shift", [(3, 0, 0), (0, -3, 0), (0, 0, 3), (1.8, 1.8, -1.8)])
def test_three_millimetres_along_any_axis_fail_the_position_of_every_beam(decide, beams, shift):
    verdict = decide(beams.computed_doses(shift=shift, scale=1.01))
    assert verdict.outcome is CheckOutcome.FAIL
    for number in (1, 2, 3, 4):
        check = one(verdict, "position_offset", f"beam {number}")
        assert check.outcome is CheckOutcome.FAIL
        assert check.value == pytest.approx(float(np.linalg.norm(shift)), abs=0.25)


@pytest.mark.parametrize("deeper", [5.0, -5.0])
def test_five_millimetres_of_range_fail_range_r80_of_every_beam(decide, beams, deeper):
    verdict = decide(beams.computed_doses(deeper=deeper), options=PLAN_GAMMA)
    assert "range_r80" in failed(verdict)
    assert one(verdict, "gamma", "plan").outcome is not CheckOutcome.FAIL  # which is why gamma alone is not enough
    for number in (1, 2, 3, 4):
        check = one(verdict, "range_r80", f"beam {number}")
        assert check.outcome is CheckOutcome.FAIL
        assert check.value == pytest.approx(deeper, abs=0.4)
        assert one(verdict, "falloff_r80_r20", f"beam {number}").outcome is CheckOutcome.PASS


def test_one_beam_of_four_is_named(decide, beams):
    computed = beams.computed_doses()
    computed[2] = beams.beam_dose(beams.FIELDS[2], beams.COMPUTED_GRID, noise=0.01, deeper=5.0)
    verdict = decide(computed)
    blamed = {scope for (_, scope), outcome in outcomes(verdict).items() if outcome is CheckOutcome.FAIL}
    assert blamed == {"beam 3"}
    assert "beam 3" in verdict.why


def test_a_longer_falloff_is_detected_separately(decide, beams):
    blurred = [replace(d, gy=_blur(d.gy)) for d in beams.computed_doses()]
    verdict = decide(blurred)
    assert one(verdict, "falloff_r80_r20", "beam 1").outcome is not CheckOutcome.PASS
    assert one(verdict, "falloff_r80_r20", "beam 1").value > 1.5


def _blur(gy):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(gy, 1.6)


def test_a_planned_grid_that_cuts_the_distal_edge_off_but_for_a_corner_of_the_field_is_not_judged(decide, beams):
    fields = beams.FIELDS[3:]
    for rows, outcome in ((34, CheckOutcome.PASS), (28, CheckOutcome.NOT_JUDGED)):
        short = replace(beams.PLANNED_GRID, shape=(36, rows, 52))  # beam 4 comes at an angle: a corner of it ends here
        planned = [beams.beam_dose(fields[0], short)]
        verdict = decide(beams.computed_doses(fields), planned=planned, plan=beams.plan_of(fields))
        checks = [one(verdict, name, "beam 4") for name in ("range_r80", "falloff_r80_r20")]
        assert {check.outcome for check in checks} == {outcome}
    assert {check.points for check in checks} == {14}
    assert "outside its grid on 153 of 167 rays: export a larger dose grid" in checks[0].note


@pytest.mark.parametrize("wrong", ["gantry", "mirrored", "swapped", "elsewhere"])
def test_a_wrong_delivery_fails(decide, beams, wrong):
    fields = list(beams.FIELDS)
    if wrong == "gantry":
        fields[1] = replace(fields[1], gantry=100.0)
    computed = beams.computed_doses(fields)
    if wrong == "mirrored":
        computed[0] = beams.beam_dose(fields[0], beams.COMPUTED_GRID, noise=0.01, mirrored=True)
    if wrong == "swapped":
        computed[0], computed[2] = replace(computed[2], beam_number=1), replace(computed[0], beam_number=3)
    if wrong == "elsewhere":  # another patient: another frame, nowhere near
        far = replace(beams.COMPUTED_GRID, origin=(900.0, 900.0, 900.0))
        computed = [replace(d, grid=far) for d in computed]
    verdict = decide(computed, options=JudgementOptions() if wrong == "mirrored" else QUICK)
    assert verdict.outcome is CheckOutcome.FAIL
    expected = {"gantry": "beam 2", "mirrored": "beam 1", "swapped": "beam 1", "elsewhere": "plan"}[wrong]
    assert expected in {scope for (_, scope), outcome in outcomes(verdict).items() if outcome is CheckOutcome.FAIL}


def test_another_patients_dose_in_the_same_place_fails(decide, beams):
    other = [replace(f, sides=(60.0, 14.0), weight=f.weight * 1.3) for f in beams.FIELDS]
    verdict = decide(beams.computed_doses(other), options=PLAN_GAMMA)
    assert {"gamma", "dose_scale"} <= failed(verdict)


def test_an_rbe_factor_is_named_and_not_scaled_away(decide, beams):
    check = one(decide(beams.computed_doses(scale=1.1)), "dose_scale", "plan")
    assert (check.outcome, check.value) == (CheckOutcome.FAIL, pytest.approx(1.1, abs=0.01))
    assert "RBE factor of 1.1" in check.note
    assert "1 / an RBE factor" in one(decide(beams.computed_doses(scale=1 / 1.1)), "dose_scale", "plan").note


@pytest.mark.parametrize("scale", [5.0, 0.2])
def test_a_number_of_fractions_is_named(decide, beams, scale):
    check = one(decide(beams.computed_doses(scale=scale)), "dose_scale", "plan")
    assert check.outcome is CheckOutcome.FAIL
    assert "number of fractions (5)" in check.note


def test_declared_factors_bring_one_physical_fraction_to_the_weighted_course(decide, beams):
    acme = beams.CONVENTIONS["Acme"].model_copy(update={"biology": Biology.RBE})
    per_fraction = replace(beams.TO_MEDIUM, extent=Extent.FRACTION)
    computed = [replace(d, gy=d.gy / np.float32(5.5), dose_type=per_fraction) for d in beams.computed_doses()]
    verdict = decide(computed, conventions={"ACME ": acme})
    assert verdict.outcome is CheckOutcome.PASS, verdict
    note = one(verdict, "dose_meaning", "plan").note
    assert "× 5 (fractions) × 1.1 (RBE)" in note


def test_dose_to_water_is_not_judged_against_dose_to_medium(decide, beams):
    water = replace(beams.TO_MEDIUM, medium=Medium.WATER)
    verdict = decide([replace(d, dose_type=water) for d in beams.computed_doses(scale=1.2)])
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    assert "dose_conventions" in verdict.why
    assert one(verdict, "dose_scale", "plan").value == pytest.approx(1.2, abs=0.01)  # shown, not judged
    assert {check.outcome for check in verdict.checks} == {CheckOutcome.NOT_JUDGED}


def test_an_unknown_planning_system_is_not_judged_and_the_reason_names_the_option(decide, beams):
    verdict = decide(beams.computed_doses(), conventions={})
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    assert "'ACME'" in verdict.why
    assert "dose_conventions" in verdict.why


def test_without_basis_numbers_are_shown_and_nothing_is_judged(decide, beams):
    reason = "the beam model of machine X is not commissioned here"
    verdict = decide(beams.computed_doses(scale=1.3), basis=[reason])
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    assert reason in verdict.why
    assert one(verdict, "gamma", "plan").value is not None


def test_no_planned_dose_is_not_judged(decide, beams):
    verdict = decide(beams.computed_doses(), planned=[], basis=["generic model"])
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    assert "no planned dose" in verdict.why
    assert "generic model" in verdict.why


def test_without_beam_doses_only_the_sum_is_judged_and_it_says_so(decide, beams):
    sum_only = beams.planned_doses(per_beam=False)
    verdict = decide(beams.computed_doses(), planned=sum_only)
    assert verdict.outcome is CheckOutcome.REVIEW
    assert "only the sum was compared" in verdict.why
    assert {scope for _, scope in outcomes(verdict)} == {"plan"}
    assert one(verdict, "position_offset", "plan").outcome is CheckOutcome.PASS
    lenient = QUICK.model_copy(update={"without_beam_doses": "pass"})
    assert decide(beams.computed_doses(), planned=sum_only, options=lenient).outcome is CheckOutcome.PASS
    shifted = decide(beams.computed_doses(shift=(0, 0, 3)), planned=sum_only)
    assert "position_offset" in failed(shifted)


@pytest.mark.parametrize("outcome", ["pass", "review", "not_judged"])
def test_a_beam_that_is_planned_neither_alone_nor_in_a_sum_is_not_judged(decide, beams, outcome):
    _, one_planned, _, three_planned, four_planned = beams.planned_doses()
    options = QUICK.model_copy(update={"without_beam_doses": outcome})
    verdict = decide(beams.computed_doses(), planned=[one_planned, three_planned, four_planned], options=options)
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    check = one(verdict, "beam_doses", "plan")
    assert check.outcome is CheckOutcome.NOT_JUDGED
    assert "beam 2 has no planned dose, neither alone nor in a sum" in check.note
    assert "only the sum was compared" not in check.note
    assert one(verdict, "range_r80", "beam 3").outcome is CheckOutcome.PASS


def test_without_a_plan_dose_the_planned_beams_are_added(decide, beams):
    verdict = decide(beams.computed_doses(), planned=beams.planned_doses()[1:])
    assert verdict.outcome is CheckOutcome.PASS
    assert ("gamma", "plan") in outcomes(verdict)


def test_a_single_beam_plan_needs_no_second_dose(decide, beams):
    fields = beams.FIELDS[:1]
    planned = beams.planned_doses(fields, per_beam=False)
    verdict = decide(beams.computed_doses(fields), planned=planned, plan=beams.plan_of(fields))
    assert verdict.outcome is CheckOutcome.PASS
    assert ("range_r80", "beam 1") in outcomes(verdict)
    assert ("planned_sum", "plan") not in outcomes(verdict)  # one dose stands for both


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, CheckOutcome.PASS), (1.2, CheckOutcome.NOT_JUDGED)])
def test_the_doses_of_a_plan_and_of_its_only_beam_have_to_agree(decide, beams, factor, outcome):
    fields = beams.FIELDS[:1]
    whole, alone = beams.planned_doses(fields)
    planned = [replace(whole, gy=whole.gy * np.float32(factor)), alone]
    verdict = decide(beams.computed_doses(fields), planned=planned, plan=beams.plan_of(fields))
    check = one(verdict, "planned_sum", "plan")
    assert check.outcome is outcome
    assert check.note.startswith(
        f"the planned beam dose {'equals' if outcome is CheckOutcome.PASS else 'does not equal'} the planned plan dose"
    )


def test_planned_beams_that_do_not_add_up_are_named(decide, beams):
    planned = beams.planned_doses()
    planned[1:] = [replace(d, gy=d.gy / np.float32(5)) for d in planned[1:]]
    check = one(decide(beams.computed_doses(), planned=planned), "planned_sum", "plan")
    assert check.outcome is CheckOutcome.NOT_JUDGED
    assert "5.000, a known factor" in check.note


def test_too_much_noise_is_undecided_and_so_is_unknown_noise(decide, beams):
    noisy = decide(beams.computed_doses(noise=0.03))
    assert (noisy.outcome, one(noisy, "uncertainty", "plan").outcome) == (
        CheckOutcome.UNDECIDED,
        CheckOutcome.UNDECIDED,
    )
    silent = decide([replace(d, uncertainty=None) for d in beams.computed_doses()])
    assert silent.outcome is CheckOutcome.UNDECIDED
    assert "reports no statistical uncertainty" in one(silent, "uncertainty", "plan").note


def test_a_hole_in_the_computed_dose_fails_and_stays_in_the_denominator(decide, beams):
    computed = beams.computed_doses()
    gy = computed[0].gy.copy()
    gy[20:28] = np.nan
    whole = one(decide(beams.computed_doses()), "gamma", "plan")
    holed = one(decide([replace(computed[0], gy=gy), *computed[1:]]), "gamma", "plan")
    assert holed.points == whole.points
    assert holed.outcome is CheckOutcome.FAIL
    assert "have no computed dose" in holed.note


def test_a_missing_beam_is_named_and_never_passes(decide, beams):
    verdict = decide(beams.computed_doses()[:3])
    assert verdict.outcome is CheckOutcome.NOT_JUDGED
    assert "no computed dose of beam 4" in verdict.why


def test_a_dose_of_a_beam_that_is_not_of_this_plan_is_refused(decide, beams):
    computed = beams.computed_doses()
    with pytest.raises(Permanent, match="beam 9"):
        decide([*computed[:3], replace(computed[3], beam_number=9)])
    with pytest.raises(Permanent, match="beam 1"):
        decide([*computed, computed[0]])


def test_computed_beams_on_different_grids_are_refused(decide, beams):
    computed = beams.computed_doses()
    moved = replace(computed[1], grid=replace(computed[1].grid, origin=(-82.5, -81.0, -60.0)))
    with pytest.raises(Permanent, match="different grids"):
        decide([computed[0], moved, *computed[2:]])


def test_two_planned_doses_of_the_plan_are_not_judged(decide, beams):
    planned = beams.planned_doses()
    assert "2 planned doses" in decide(beams.computed_doses(), planned=[planned[0], *planned]).why


def test_limits_of_a_machine_override_the_sites(decide, beams):
    options = JudgementOptions.model_validate_json(
        json.dumps(
            {
                "dose_scale": {"pass_percent": 1, "review_percent": 6},
                "gamma": {"per_beam": False},
                "machines": {"MQI-TEST": {"dose_scale": {"pass_percent": 5}}},
            }
        )
    )
    assert options.for_machine("MQI-TEST").dose_scale.review_percent == 6
    assert options.for_machine("other").dose_scale.pass_percent == 1
    assert decide(beams.computed_doses(scale=1.04), options=options).outcome is CheckOutcome.PASS


def test_a_review_limit_stricter_than_the_pass_limit_is_refused():
    with pytest.raises(ValueError, match="dose_scale: review_percent is stricter than pass_percent"):
        JudgementOptions.model_validate({"dose_scale": {"pass_percent": 4}})
    with pytest.raises(ValueError, match=r"machines\.X\.range: falloff_review_mm"):
        JudgementOptions.model_validate({"machines": {"X": {"range": {"falloff_pass_mm": 4}}}})
    clash = {"machines": {"X": {"gamma": {"pass_percent": 80, "review_percent": 70}}}, "gamma": {"review_percent": 90}}
    assert JudgementOptions.model_validate(clash).for_machine("X").gamma.pass_percent == 80


@pytest.mark.parametrize("empty", ["planned", "computed"])
def test_a_dose_of_nothing_never_passes(decide, beams, empty):
    planned, computed = beams.planned_doses(), beams.computed_doses()
    nothing = [replace(d, gy=np.zeros_like(d.gy)) for d in (planned if empty == "planned" else computed)]
    verdict = decide(computed if empty == "planned" else nothing, planned=nothing if empty == "planned" else planned)
    assert verdict.outcome is CheckOutcome.FAIL


def test_a_planned_dose_that_is_zero_outside_the_body_is_not_taken_for_a_shift(decide, beams):
    def cut_at_the_skin(dose):
        z, y, x = np.meshgrid(*dose.grid.axes(), indexing="ij")
        inside = (abs(x) < 42) & (abs(y + 4) < 42) & (abs(z) < 45)
        return replace(dose, gy=np.where(inside, dose.gy, 0).astype(np.float32))

    planned = [cut_at_the_skin(dose) for dose in beams.planned_doses()]
    verdict = decide(beams.computed_doses(), planned=planned)
    for number in (1, 2, 3, 4):
        value = one(verdict, "position_offset", f"beam {number}").value
        assert value is not None
        assert value < 0.2
