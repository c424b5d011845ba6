"""Decides by their references whether DICOM objects make one complete case. Pure.

The plan refers to its structure set, the structure set to CT slices, every dose to the plan, and all share one frame
of reference and one patient. The CT is the whole series of the slices that the structure set refers to: it may refer
only to those with contours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.header import Header
from mqi_communicator.dicom.problem import Problem, printable


@dataclass(frozen=True, slots=True)
class Found:
    """A DICOM file of the folder: its relative name and its header."""

    name: str
    header: Header

    @property
    def label(self) -> str:
        """The name, fit for a message."""
        return printable(self.name)


@dataclass(frozen=True, slots=True)
class Linked:
    """The objects of the case so far. `missing` is empty once plan, structure set and CT are complete."""

    plan: Found | None = None
    structures: Found | None = None
    ct: tuple[Found, ...] = ()  # the slices of the series that the structure set refers to, by ascending z
    doses: tuple[Found, ...] = ()  # of this plan
    aside: tuple[tuple[str, str], ...] = ()  # each ignored dose: its name and why
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()  # objects that cannot belong to one case, whatever may still arrive


def link(found: Sequence[Found]) -> Linked:
    """Follow the references."""
    plans = _of(found, Kind.PLAN)
    if len(plans) != 1:
        return (
            Linked(problems=(_several_plans(plans),)) if plans else Linked(missing=("the folder has no RT plan yet",))
        )
    plan = plans[0]
    doses, aside = _doses(_of(found, Kind.DOSE), plan)
    structures = _structures_of(plan, _of(found, Kind.STRUCTURES))
    if structures is None:
        absent_set = "the structure set that the plan refers to has not arrived"
        return Linked(plan, None, (), doses, aside, (absent_set,), ())
    slices = tuple(one for one in _of(found, Kind.CT) if not one.header.localizer)
    named = set(structures.header.refers_to)
    ct = _series(slices, structures.header)
    if not named:
        return Linked(plan, structures, ct, doses, aside, (), (_names_no_slice(structures),))
    if slices and not ct and not any(set(one.header.frames) & set(structures.header.frames) for one in slices):
        return Linked(plan, structures, (), doses, aside, (), (_drawn_on_another(structures, len(slices)),))
    absent = len(named - {one.header.sop_instance_uid for one in ct})
    missing = (_absent(absent, len(named)),) if absent else ()
    problems = tuple(_inconsistent((plan, *ct, *doses), structures))
    return Linked(plan, structures, ct, doses, aside, missing, problems)


def wrong_partner(linked: Linked, found: Sequence[Found]) -> Problem | None:
    """Return the problem if nothing more arrives: the structure set or CT present is not the referenced one."""
    others = _of(found, Kind.STRUCTURES)
    if linked.plan and not linked.structures and others:
        return Problem(
            "case.other_structures",
            "",
            f"{linked.plan.label} refers to the structure set {_first(linked.plan.header.refers_to)}, but the folder "
            f"contains {others[0].label} with {others[0].header.sop_instance_uid}",
            advice="Put the structure set of this plan into the folder.",
        )
    strangers = _of(found, Kind.CT)
    if linked.structures and not linked.ct and strangers:
        return _drawn_on_another(linked.structures, len(strangers))
    return None


def _series(slices: Sequence[Found], structures: Header) -> tuple[Found, ...]:
    """Return the slices that the structure set refers to, and all others of their series."""
    named = set(structures.refers_to)
    series = {one.header.series_instance_uid for one in slices if one.header.sop_instance_uid in named}
    chosen = (
        one
        for one in slices
        if one.header.sop_instance_uid in named
        or (one.header.series_instance_uid in series and one.header.series_instance_uid)
    )
    return tuple(sorted(chosen, key=lambda one: one.header.z or 0.0))


def _doses(doses: Iterable[Found], plan: Found) -> tuple[tuple[Found, ...], tuple[tuple[str, str], ...]]:
    """Return the doses of this plan, and why each other dose is ignored."""
    own, aside = [], []
    for dose in doses:
        why = dose.header.dose
        if not why and plan.header.sop_instance_uid not in dose.header.refers_to:
            why = "it is the dose of another plan (300C,0002)"
        if why:
            aside.append((dose.name, why))
        else:
            own.append(dose)
    return tuple(own), tuple(aside)


def _of(found: Iterable[Found], kind: Kind) -> tuple[Found, ...]:
    return tuple(f for f in found if f.header.kind is kind)


def _structures_of(plan: Found, candidates: tuple[Found, ...]) -> Found | None:
    return next((one for one in candidates if one.header.sop_instance_uid in plan.header.refers_to), None)


def _inconsistent(linked: Iterable[Found], structures: Found) -> Iterable[Problem]:
    """Yield a problem for each kind of object with another frame of reference or patient.

    A plan may have no frame of reference (PS3.3 A.49: usage U)."""
    frames = set(structures.header.frames)
    shared = {frame for one in linked for frame in one.header.frames} & frames
    if not frames:
        yield Problem(
            "structures.frames",
            structures.label,
            "the structure set has no frame of reference (3006,0010), (3006,0024)",
            advice="Export the structure set of the planning CT again.",
        )
        return
    first: dict[str, Problem] = {}
    for one in linked:
        here = set(one.header.frames)
        if not (here and here <= (shared if len(shared) == 1 else frames)) and (here or one.header.kind != Kind.PLAN):
            problem = Problem(
                "case.frames",
                "",
                f"{one.label} and {structures.label} have different frames of reference (0020,0052): "
                f"{_all(one.header.frames)} and {_all(structures.header.frames)}",
                advice="Export plan, structure set, CT and dose of the same plan together.",
            )
            first.setdefault(f"frame {one.header.kind}", problem)
        if one.header.patient != structures.header.patient:
            problem = Problem(
                "case.patients",
                "",
                f"{one.label} and {structures.label} have different patient IDs (0010,0020)",
                advice="Export plan, structure set, CT and dose of one patient together.",
            )
            first.setdefault(f"patient {one.header.kind}", problem)
    yield from first.values()


def _several_plans(plans: Sequence[Found]) -> Problem:
    return Problem(
        "case.several_plans",
        "",
        f"the folder contains {len(plans)} plans: {', '.join(plan.label for plan in plans[:4])}",
        advice="Put each plan into a folder of its own, with its structure set, CT and dose.",
    )


def _names_no_slice(structures: Found) -> Problem:
    return Problem(
        "structures.no_ct",
        structures.label,
        "the structure set refers to no CT slice (3006,0016), neither in its series nor in its contours, so "
        "the CT cannot be checked for completeness",
        advice="Export the structure set with the references to its CT images.",
    )


def _drawn_on_another(structures: Found, strangers: int) -> Problem:
    return Problem(
        "case.other_ct",
        "",
        f"{structures.label} belongs to another CT: it refers to {len(structures.header.refers_to)} slices, and none "
        f"of "
        f"them is among the {strangers} slices in the folder",
        advice="Put the planning CT of this structure set into the folder.",
    )


def _absent(absent: int, named: int) -> str:
    verb = "has" if absent == 1 else "have"
    return f"{absent} of {named} CT slices of the structure set {verb} not arrived"


def _all(uids: Sequence[str]) -> str:
    return " or ".join(map(printable, uids)) or "none"


def _first(uids: Sequence[str]) -> str:
    return printable(uids[0]) if uids else "(missing) (300C,0060)"
