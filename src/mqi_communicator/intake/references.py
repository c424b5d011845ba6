"""Do these DICOM objects make one case? Proved by their references, never guessed from a timer. Pure.

The plan names its structure set, the structure set names every CT slice, every dose names the plan, and all share one
frame of reference and one patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.header import Header
from mqi_communicator.dicom.problem import DicomProblem, shown


@dataclass(frozen=True, slots=True)
class Found:
    """A DICOM file of the folder: its relative name and its header."""

    name: str
    header: Header


@dataclass(frozen=True, slots=True)
class Linked:
    """What belongs to the case so far. `missing` is empty once plan, structure set and CT are whole."""

    plan: Found | None
    structures: Found | None
    ct: tuple[Found, ...]  # the slices that the structure set names, by ascending z
    doses: tuple[Found, ...]
    aside: tuple[Found, ...]  # belongs to no role
    missing: tuple[str, ...]


def link(found: Sequence[Found]) -> Linked:
    """Follow the references. DicomProblem where two objects cannot belong to one case, whatever may still arrive."""
    plan = _only_plan(_of(found, Kind.PLAN))
    doses = _of(found, Kind.DOSE)
    if plan is None:
        return Linked(None, None, (), (), (), ("no RT plan yet",))
    for dose in doses:
        _refuse_dose_of_another(dose, plan)
    structures = _structures_of(plan, _of(found, Kind.STRUCTURES))
    if structures is None:
        return Linked(plan, None, (), doses, (), ("the structure set that the plan refers to has not arrived",))
    named = set(structures.header.refers_to)
    ct = tuple(sorted((f for f in _of(found, Kind.CT) if f.header.sop_instance_uid in named), key=_level))
    linked = (plan, structures, *ct, *doses)
    frame = structures.header.frame_of_reference_uid
    strangers = _of(found, Kind.CT)
    if strangers and not ct and all(one.header.frame_of_reference_uid != frame for one in strangers):
        raise _drawn_on_another(structures, len(strangers))
    _refuse_strangers(linked, structures)
    names = {f.name for f in linked}
    aside = tuple(f for f in found if f.name not in names)
    absent = len(named) - len(ct)
    missing = (_absent(absent, len(named)),) if absent else ()
    return Linked(plan, structures, ct, doses, aside, missing)


def wrong_partner(linked: Linked, found: Sequence[Found]) -> DicomProblem | None:
    """What is wrong if nothing more arrives: a structure set or a CT is there, but it is another one."""
    others = _of(found, Kind.STRUCTURES)
    if linked.plan and not linked.structures and others:
        return DicomProblem(
            f"{_named(linked.plan)} refers to the structure set {_first(linked.plan.header.refers_to)}, but the folder "
            f"holds {_named(others[0])} with {others[0].header.sop_instance_uid}",
            "Put the structure set of this plan into the folder.",
            "case.other_structures",
        )
    strangers = _of(found, Kind.CT)
    if linked.structures and not linked.ct and strangers:
        return _drawn_on_another(linked.structures, len(strangers))
    return None


def _drawn_on_another(structures: Found, strangers: int) -> DicomProblem:
    return DicomProblem(
        f"{_named(structures)} is drawn on another CT: of the {len(structures.header.refers_to)} slices it names none "
        f"is here, and of the {strangers} slices here it names none",
        "Put the planning CT of this structure set into the folder.",
        "case.other_ct",
    )


def _of(found: Sequence[Found], kind: Kind) -> tuple[Found, ...]:
    return tuple(f for f in found if f.header.kind is kind)


def _only_plan(plans: tuple[Found, ...]) -> Found | None:
    if len(plans) > 1:
        raise DicomProblem(
            f"the folder holds {len(plans)} plans: {', '.join(_named(plan) for plan in plans[:4])}",
            "Put each plan into a folder of its own, with its structure set, CT and dose.",
            "case.several_plans",
        )
    return plans[0] if plans else None


def _structures_of(plan: Found, candidates: tuple[Found, ...]) -> Found | None:
    return next((one for one in candidates if one.header.sop_instance_uid in plan.header.refers_to), None)


def _refuse_dose_of_another(dose: Found, plan: Found) -> None:
    if plan.header.sop_instance_uid not in dose.header.refers_to:
        raise DicomProblem(
            f"{_named(dose)} is the dose of another plan: it refers to {_first(dose.header.refers_to)}, "
            f"{_named(plan)} is {plan.header.sop_instance_uid}",
            "Remove it, or put the dose of this plan into the folder.",
            "case.other_dose",
        )


def _refuse_strangers(linked: Sequence[Found], structures: Found) -> None:
    """One frame of reference, one patient. A plan may leave its frame of reference out (PS3.3 A.49: usage U)."""
    frame = structures.header.frame_of_reference_uid
    for one in linked:
        here = one.header.frame_of_reference_uid
        if here != frame and not (one.header.kind is Kind.PLAN and not here):
            raise DicomProblem(
                f"{_named(one)} and {_named(structures)} stand in different frames of reference (0020,0052): "
                f"{shown(here) or 'none'} and {shown(frame) or 'none'}",
                "Export plan, structure set, CT and dose of one planning together.",
                "case.frames",
            )
        if one.header.patient != structures.header.patient:
            raise DicomProblem(
                f"{_named(one)} and {_named(structures)} carry different patient IDs (0010,0020)",
                "Export plan, structure set, CT and dose of one patient together.",
                "case.patients",
            )


def _absent(absent: int, named: int) -> str:
    verb = "has" if absent == 1 else "have"
    return f"{absent} of {named} CT slices of the structure set {verb} not arrived"


def _level(found: Found) -> float:
    return found.header.z or 0.0


def _named(found: Found) -> str:
    return shown(found.name)


def _first(uids: Sequence[str]) -> str:
    return shown(uids[0]) if uids else "nothing"
