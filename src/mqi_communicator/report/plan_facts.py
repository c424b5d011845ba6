"""What a report says about the plan: patient, label, dates, planning system, prescription, MU, beams."""

from __future__ import annotations

from mqi_communicator.case.numbers import fixed
from mqi_communicator.dicom.contours import Labels
from mqi_communicator.dicom.records import Beam, IonPlan
from mqi_communicator.report.labels import LabelPolicy
from mqi_communicator.report.page import Table
from mqi_communicator.report.text import one_line
from mqi_communicator.report.times import of_plan

_NONE = "–"
Facts = list[tuple[str, str]]


def patient(labels: Labels, identity: str) -> Facts:
    """The patient, as far as the site shows it."""
    rows = [("patient id", one_line(labels.patient_id) or _NONE)] if identity in ("id", "name") else []
    if identity == "name":
        rows.append(("patient name", one_line(labels.patient_name) or _NONE))
        rows.append(("birth date", of_plan(labels.birth_date, "") or _NONE))
    return rows


def plan(plan: IonPlan, labels: Labels, policy: LabelPolicy) -> Facts:
    """The plan: label, date, approval, planning system, prescription, MU."""
    system = " ".join(filter(None, (one_line(plan.manufacturer), one_line(plan.model)))) or _NONE
    gy = labels.prescription_gy
    fractions = f"{plan.fractions} fraction{'' if plan.fractions == 1 else 's'}"
    return [
        ("plan", policy.typed(plan.label, _NONE)),
        ("plan of", of_plan(labels.plan_date, labels.plan_time) or _NONE),
        ("approval", _approval(plan, labels, policy)),
        ("planning system", system),
        ("prescription", f"{gy:g} Gy in {fractions}" if gy else f"none in the plan, {fractions}"),
        ("machine", ", ".join(sorted({one_line(beam.machine) for beam in plan.beams}))),
        ("MU per fraction", mu(plan)),
    ]


def _approval(plan: IonPlan, labels: Labels, policy: LabelPolicy) -> str:
    words = one_line(plan.approval) or "not stated"
    when = of_plan(labels.review_date, labels.review_time)
    who = policy.typed(labels.reviewer.replace("^", " "), "")
    return words + (f", {when}" if when else "") + (f", by {who}" if who else "")


def mu(plan: IonPlan) -> str:
    """MU of a fraction in all, and how many beams deliver them."""
    total = sum(beam.meterset for beam in plan.beams)
    return f"{total:.2f} in {len(plan.beams)} beam{'' if len(plan.beams) == 1 else 's'}"


def short_beams(plan: IonPlan, policy: LabelPolicy, most: int) -> Table:
    """The first `most` beams with what matters most of each."""
    rows = tuple(
        (
            str(beam.number),
            policy.typed(beam.name, _NONE),
            f"{beam.gantry_angle:g}",
            f"{beam.couch_angle:g}",
            devices(beam, policy),
            f"{beam.meterset:.2f}",
            str(len(beam.layers)),
        )
        for beam in plan.beams[:most]
    )
    headings = ("beam", "name", "gantry (°)", "couch (°)", "devices", "MU / fraction", "layers")
    return Table(headings, rows, (0.6, 2, 0.9, 0.9, 2.6, 1.1, 0.8), numbers=(2, 3, 5, 6))


def beams(plan: IonPlan, policy: LabelPolicy) -> Table:
    """One row per treatment beam, in plan order."""
    return Table(
        ("beam", "name", "machine", "gantry (°)", "couch (°)", "devices", "MU / fraction", "layers", "energies (MeV)",
         "spots", "isocentre x, y, z (mm)"),
        tuple(_beam(beam, policy) for beam in plan.beams),
        (0.65, 1.5, 1.2, 0.8, 0.75, 1.6, 0.95, 0.75, 1.4, 0.75, 1.7),
        numbers=(3, 4, 6, 7, 9),
    )  # fmt: skip


def _beam(beam: Beam, policy: LabelPolicy) -> tuple[str, ...]:
    energies = [layer.energy for layer in beam.layers]
    return (
        str(beam.number),
        policy.typed(beam.name, _NONE),
        one_line(beam.machine),
        f"{beam.gantry_angle:g}",
        f"{beam.couch_angle:g}",
        devices(beam, policy),
        f"{beam.meterset:.2f}",
        str(len(beam.layers)),
        f"{min(energies):g} to {max(energies):g}" if energies else _NONE,
        str(sum(int((layer.weights > 0).sum()) for layer in beam.layers)),  # or lines
        ", ".join(fixed(mm, 1) for mm in beam.isocenter),
    )


def devices(beam: Beam, policy: LabelPolicy) -> str:
    """The devices of the beam: range shifters by id and setting, others by their kind."""
    set_to = dict.fromkeys((one.id, one.setting) for layer in beam.layers for one in layer.shifters)
    shifters = ", ".join(f"{policy.typed(name, '')} {one_line(setting)}".strip() for name, setting in set_to)
    kinds = dict.fromkeys(one.kind for one in beam.devices)
    return "; ".join(f"{kind} {shifters}".strip() if kind == "range shifter" else kind for kind in kinds) or "none"
