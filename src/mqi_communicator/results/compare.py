"""Compares the recalculation with the planned dose: all named checks of one case, and the verdict. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Beam, Dose, IonPlan
from mqi_communicator.results.dose_type import (
    convention_for,
    dose_type_check,
    incompatibility,
    unknown_convention,
)
from mqi_communicator.results.gamma import gamma_check
from mqi_communicator.results.goal_check import goal_check, unjudged_goals
from mqi_communicator.results.goal_result import GoalResult
from mqi_communicator.results.goals import Anatomy, GoalDoses, goals_of, variance_of
from mqi_communicator.results.grids import corners, cropped
from mqi_communicator.results.noise import noise_check
from mqi_communicator.results.offset import offset_check
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.results.penumbra import penumbra_check
from mqi_communicator.results.ranges import range_checks
from mqi_communicator.results.remembered import Nothing, Remembered
from mqi_communicator.results.scale import scale_check
from mqi_communicator.results.sources import DoseSource, source, sources
from mqi_communicator.results.sums import Sum, common_grid, planned_sum_check
from mqi_communicator.results.uncertainty import combined_uncertainty, noise_of, uncertainty_check
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict, unjudged, worst

_MARGIN = 50.0  # mm of computed dose kept around the planned grids
_NO_STRUCTURES = Anatomy((), {})


@dataclass(frozen=True, slots=True)
class _Doses:
    """The doses of one case, of one dose type."""

    plan: DoseSource | None
    planned: Mapping[int, DoseSource]
    computed: Mapping[int, DoseSource]
    monte_carlo: bool  # whether the planned doses are Monte Carlo doses

    @property
    def own(self) -> Mapping[int, DoseSource]:
        """Planned beam doses that are not the plan's."""
        return {number: dose for number, dose in self.planned.items() if dose is not self.plan}


def judge(
    plan: IonPlan,
    planned: Sequence[Dose | DoseSource],
    computed: Sequence[Dose],
    options: JudgementOptions,
    *,
    conventions: Mapping[str, DoseConvention],
    basis: Sequence[str] = (),
    cautions: Sequence[Caution] = (),
    remembered: Remembered | None = None,
    anatomy: Anatomy = _NO_STRUCTURES,
    monte_carlo: bool = False,
) -> Verdict:
    """Compare and judge. `planned` holds the plan's dose, its beams' doses, or both; `computed` one dose per beam.

    Planned doses are read one at a time; computed ones may be mapped into memory, and each may be on another part of
    the CT's grid, with no dose beyond it. `conventions` are keyed by the manufacturer of the planning system and
    override the dose type of the planned doses. `basis`: reasons why there is no verdict; the values are computed all
    the same. `cautions` become checks of their own. Permanent if a computed dose is not of this plan, duplicated, or
    on another grid than the others. `remembered`: the checks that an interrupted comparison of the same doses has made.
    `anatomy` is needed for clinical goals. `monte_carlo`: the planned doses are Monte Carlo doses too, and their noise
    counts.
    """
    by_beam = _by_beam(plan, computed)
    caution_checks = tuple(_caution_check(one) for one in cautions)
    if not planned:
        return unjudged(caution_checks, (*basis, "the case has no planned dose"))
    convention = convention_for(plan.manufacturer, conventions)
    declared = sources(planned)
    if convention is not None:
        declared = tuple(replace(one, dose_type=convention.dose_type) for one in declared)
    target = next((d for d in declared if d.beam_number is None), declared[0]).dose_type
    rbe = convention.rbe_factor if convention else DoseConvention.model_fields["rbe_factor"].default
    obstacles: tuple[str, ...] = () if convention else (unknown_convention(plan.manufacturer),)
    obstacles += tuple(sorted({why for d in by_beam.values() if (why := incompatibility(target, d.dose_type))}))
    conversions: tuple[str, ...] = ()
    extent = corners([d.grid for d in declared])
    near: dict[int, DoseSource] = {}
    for number, dose in by_beam.items():
        part = source(cropped(dose, extent, _MARGIN))
        near[number], conversions = part.converted(target, fractions=plan.fractions, rbe_factor=rbe)
    same = [d.converted(target, fractions=plan.fractions, rbe_factor=rbe)[0] for d in declared]
    doses, problems = _group_by_beam(plan, same, near, monte_carlo=monte_carlo)
    compared, goals = _compare(plan, doses, options, problems, Nothing() if remembered is None else remembered, anatomy)
    checks = (dose_type_check(target, conversions, obstacles), *compared, *caution_checks)
    reasons = (*basis, *obstacles)
    if reasons:
        return replace(unjudged(checks, reasons), goals=unjudged_goals(goals, "there is no basis for a verdict"))
    return replace(worst(checks), goals=goals)


def _caution_check(one: Caution) -> Check:
    outcome = CheckOutcome.REVIEW if one.review else CheckOutcome.PASS
    return Check(one.name, one.scope, outcome, one.value, one.unit, one.limit, None, None, one.note)


def limits_of(plan: IonPlan, options: JudgementOptions) -> JudgementOptions:
    """The limits of the sum: the machine's if all beams are of one machine, else the site's."""
    machines = {beam.machine for beam in plan.beams}
    return options.for_machine(machines.pop()) if len(machines) == 1 else options


def _by_beam(plan: IonPlan, computed: Sequence[Dose]) -> dict[int, Dose]:
    """Computed doses by beam number. Permanent for a dose that is not of this plan."""
    known = {beam.number for beam in plan.beams}
    found: dict[int, Dose] = {}
    for dose in computed:
        if dose.beam_number is None or dose.beam_number not in known or dose.beam_number in found:
            raise Permanent(
                f"a computed dose claims beam {dose.beam_number}, which is not in the plan or is duplicated",
                "the outputs of this case are mixed up: compute it again",
            )
        found[dose.beam_number] = dose
    return found


def _group_by_beam(
    plan: IonPlan, planned: Sequence[DoseSource], computed: Mapping[int, DoseSource], *, monte_carlo: bool
) -> tuple[_Doses, tuple[str, ...]]:
    """Doses by beam, and what is inconsistent about them."""
    numbers = [beam.number for beam in plan.beams]
    whole = [dose for dose in planned if dose.beam_number is None]
    mine = {dose.beam_number: dose for dose in planned if dose.beam_number in numbers}
    problems = [f"there are {len(whole)} planned doses of the whole plan"] if len(whole) > 1 else []
    extra = sorted({str(d.beam_number) for d in planned if d.beam_number not in (None, *numbers)})
    problems += [f"there is a planned dose of beam {number}, which the plan does not treat" for number in extra]
    twice = len(planned) - len(whole) - len(extra) > len(mine)
    problems += ["a beam has two planned doses"] if twice else []
    missing = [str(number) for number in numbers if number not in computed]
    problems += [f"there is no computed dose of beam {', '.join(missing)}"] if missing else []
    dose = whole[0] if whole else None
    if dose is not None and len(numbers) == 1 and not mine:
        mine[numbers[0]] = dose
    beams = {number: mine[number] for number in numbers if number in mine}
    there = {number: computed[number] for number in numbers if number in computed}
    return _Doses(dose, beams, there, monte_carlo), tuple(problems)


def _compare(
    plan: IonPlan,
    doses: _Doses,
    options: JudgementOptions,
    problems: tuple[str, ...],
    remembered: Remembered,
    anatomy: Anatomy,
) -> tuple[list[Check], tuple[GoalResult, ...]]:
    """The checks of beams and plan, in the order of a verdict, and the clinical goals. Each beam's doses are in memory
    while they are compared; what remains of them are the sums."""
    checks = [
        _plain("completeness", CheckOutcome.NOT_JUDGED, "one planned and one computed dose each", "; ".join(problems))
    ]
    checks = checks if problems else []
    needed = bool(anatomy.structures) or not remembered.has("plan", "sums")
    planned_sum, computed_sum = _sums(plan, doses) if needed else (None, None)
    of_beams: list[Check] = []
    for beam in plan.beams:
        pair = _Pair(doses.planned.get(beam.number), doses.computed.get(beam.number))
        _add(pair, planned_sum, computed_sum)
        of_beams += _of_beam(plan, beam, pair, options, remembered) if pair.complete else []
    checks += remembered.get("plan", "sums", lambda: _of_sums(plan, doses, options, planned_sum, computed_sum))
    goals = _goals(plan, doses, options, planned_sum, computed_sum, anatomy)
    checks += [*goal_check(options.goals, goals), *of_beams]
    if len(doses.planned) < len(plan.beams):
        checks.append(_no_beam_doses(plan, doses, options))
    return checks, goals


def _goals(
    plan: IonPlan,
    doses: _Doses,
    options: JudgementOptions,
    planned_sum: Sum | None,
    computed_sum: Sum | None,
    anatomy: Anatomy,
) -> tuple[GoalResult, ...]:
    """The clinical goals of the plan, where its planned and its computed dose are known."""
    reference = _reference(doses, planned_sum)
    if not anatomy.structures or reference is None or computed_sum is None:
        return ()
    beams = tuple(doses.computed.values())
    total = computed_sum.dose(beams[0].dose_type)
    variance = variance_of(beams, noise_of(beams, reference), total.grid)
    return goals_of(options.goals, anatomy, GoalDoses(reference, total, variance, plan.fractions))


def _reference(doses: _Doses, planned_sum: Sum | None) -> Dose | None:
    """The planned dose of the plan: as it was planned, else the sum of its beams."""
    if doses.plan is not None:
        return doses.plan.read()
    return None if planned_sum is None else planned_sum.dose(next(iter(doses.own.values())).dose_type)


class _Pair:
    """The doses of one beam, read once, when they are needed."""

    def __init__(self, planned: DoseSource | None, computed: DoseSource | None) -> None:
        self._planned, self._computed = planned, computed
        self.complete = planned is not None and computed is not None

    @cached_property
    def planned(self) -> Dose | None:
        return None if self._planned is None else self._planned.read()

    @cached_property
    def computed(self) -> Dose | None:
        return None if self._computed is None else self._computed.read()

    def both(self) -> tuple[Dose, Dose]:
        planned, computed = self.planned, self.computed
        assert planned is not None  # noqa: S101 - a complete pair
        assert computed is not None  # noqa: S101
        return planned, computed


def _add(pair: _Pair, planned_sum: Sum | None, computed_sum: Sum | None) -> None:
    if computed_sum is not None and pair.computed is not None:
        computed_sum.add(pair.computed)
    if planned_sum is not None and pair.planned is not None:
        planned_sum.add(pair.planned)


def _sums(plan: IonPlan, doses: _Doses) -> tuple[Sum | None, Sum | None]:
    """Empty sums of the planned and the computed doses, where they are needed: every beam has its own dose."""
    planned = computed = None
    if len(doses.own) == len(plan.beams):
        planned = Sum((doses.plan or next(iter(doses.own.values()))).grid)
    if len(doses.computed) == len(plan.beams):
        found = doses.computed.values()
        computed = Sum(common_grid([one.grid for one in found], [one.dose_type for one in found]))
    return planned, computed


def _of_sums(
    plan: IonPlan, doses: _Doses, options: JudgementOptions, planned_sum: Sum | None, computed_sum: Sum | None
) -> list[Check]:
    """The checks of the plan: whether the planned doses are consistent, and those of the sum."""
    reference = None if doses.plan is None else doses.plan.read()
    total = None if planned_sum is None else planned_sum.dose(next(iter(doses.own.values())).dose_type)
    checks: list[Check] = []
    if reference is not None and total is not None:
        checks.append(planned_sum_check(reference, total, len(doses.own), options.planned_sum, plan.fractions))
    reference = total if reference is None else reference
    if reference is not None and computed_sum is not None:
        checks += _of_plan(plan, doses, reference, computed_sum, options)
    return checks


def _of_plan(
    plan: IonPlan, doses: _Doses, reference: Dose, computed_sum: Sum, options: JudgementOptions
) -> list[Check]:
    """The checks of the sum."""
    limits = limits_of(plan, options)
    beams = tuple(doses.computed.values())
    noise = combined_uncertainty(beams, reference)
    total = replace(computed_sum.dose(beams[0].dose_type), uncertainty=noise)
    of_planned = combined_uncertainty(tuple(doses.own.values()), reference) if doses.monte_carlo else None
    checks = [
        uncertainty_check(noise, limits.uncertainty),
        *([noise_check(of_planned, noise, limits.gamma)] if doses.monte_carlo else []),
        gamma_check(reference, total, limits.gamma, "plan"),
        scale_check(reference, total, limits.dose_scale, "plan", plan.fractions),
    ]
    if not doses.planned:
        checks.append(offset_check(reference, total, limits.position_offset, limits.range, None))
    return checks


def _of_beam(plan: IonPlan, beam: Beam, pair: _Pair, options: JudgementOptions, remembered: Remembered) -> list[Check]:
    """The checks of one beam; those that the plan's checks already cover for a single beam are left out."""
    limits, scope, several = options.for_machine(beam.machine), f"beam {beam.number}", len(plan.beams) > 1
    checks: dict[str, Callable[[Dose, Dose], Sequence[Check]]] = {}
    if several and limits.gamma.per_beam:
        checks["gamma"] = lambda planned, computed: [gamma_check(planned, computed, limits.gamma, scope)]
    if several:
        checks["dose_scale"] = lambda planned, computed: [
            scale_check(planned, computed, limits.dose_scale, scope, plan.fractions)
        ]
    checks["position_offset"] = lambda planned, computed: [
        offset_check(planned, computed, limits.position_offset, limits.range, beam)
    ]
    checks["range"] = lambda planned, computed: range_checks(planned, computed, limits.range, beam)
    checks["penumbra"] = lambda planned, computed: [penumbra_check(planned, computed, limits.penumbra, beam)]
    found: list[Check] = []
    for name, check in checks.items():
        found += remembered.get(scope, name, lambda check=check: check(*pair.both()))  # type: ignore[misc]
    return found


def _no_beam_doses(plan: IonPlan, doses: _Doses, options: JudgementOptions) -> Check:
    """The check of beams without a planned dose: the sum represents them, as far as the site allows it."""
    missing = [str(beam.number) for beam in plan.beams if beam.number not in doses.planned]
    named = f"beam{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    if doses.plan is None:
        outcome = CheckOutcome.NOT_JUDGED
        note = (
            f"{named} {'have' if len(missing) > 1 else 'has'} no planned dose, neither alone nor in a sum; export "
            "one dose per beam, and that of the plan"
        )
    else:
        outcome = CheckOutcome(options.without_beam_doses)
        note = (
            f"no planned dose of {named}: only the sum was compared, which can hide a wrong range or position of one "
            "beam; export one dose per beam"
        )
    return _plain("beam_doses", outcome, "a planned dose for each beam", note)


def _plain(name: str, outcome: CheckOutcome, limit: str, note: str) -> Check:
    return Check(name, "plan", outcome, None, "", limit, None, None, note)
