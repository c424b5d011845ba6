"""The stage for what a plan and its CT say about themselves: approval, intent, source distances, tube voltage. Pure.

ApprovalStatus (300E,0002) REJECTED refuses a plan. Its other values, and PlanIntent (300A,000A), are notes.
VirtualSourceAxisDistances (300A,030A) other than those of the beam model call for a review: the planning system
computed with another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions, Severity

_SAME = 1.0  # % of a distance
_SAME_KV = 1.0
_APPROVED, _REJECTED = "APPROVED", "REJECTED"
_INTENTS = frozenset({"", "CURATIVE", "PALLIATIVE", "PROPHYLACTIC"})  # those of a patient's treatment, PS3.3 C.8.8.9
_EXPORT = "Export the plan that is to be checked, approved in the treatment planning system."
_SOURCE = "VirtualSourceAxisDistances (300A,030A)"


def check_attributes(draft: Draft, models: Models, options: PreparationOptions) -> Draft:
    """Refuse a plan that was rejected, and report what a physicist should know about the plan and its source."""
    found = list(_attributes(draft.plan, options))
    refused = [
        Problem("plan.attribute", draft.plan.file, one.note, advice=_EXPORT)
        for severity, one in found
        if severity is Severity.REFUSE
    ]
    reported = [
        replace(one, review=severity is Severity.REVIEW) for severity, one in found if severity is not Severity.REFUSE
    ]
    voltage = _tube_voltage(draft.ct, models.tube_voltage(draft.ct))
    machines = [(beam, models.machine(beam)) for beam in draft.plan.beams]
    distances = [one for beam, machine in machines if machine for one in _distances(beam, machine)]
    return draft.refused(refused).noted((*reported, *voltage, *distances))


def _attributes(plan: IonPlan, options: PreparationOptions) -> Iterator[tuple[Severity, Caution]]:
    """Each attribute that is to be reported, with the site's severity."""
    if plan.approval != _APPROVED:
        has = f"is {printable(plan.approval)}" if plan.approval else "does not say that it is approved"
        severity = options.rejected if plan.approval == _REJECTED else options.not_approved
        note = f"the plan {has} (ApprovalStatus (300E,0002))"
        yield severity, Caution("approval", "plan", note, limit=_APPROVED)
    if plan.intent not in _INTENTS:
        note = f"the plan's intent is {printable(plan.intent)} (PlanIntent (300A,000A)), not the treatment of a patient"
        yield options.other_intent, Caution("intent", "plan", note, limit="CURATIVE, PALLIATIVE or PROPHYLACTIC")


def _tube_voltage(ct: CTVolume, expected: float | None) -> Iterator[Caution]:
    """The CT's tube voltages against the curve's: nothing to report if the site declares none and the CT has one."""
    found = " and ".join(f"{one:g}" for one in ct.kvp) or "no"
    note = f"the CT has {found} kV (KVP (0018,0060))"
    note += "" if expected is None else f", the conversion of its scanner is for {expected:g} kV"
    differs = expected is not None and any(abs(one - expected) > _SAME_KV for one in ct.kvp)
    if len(ct.kvp) > 1 or differs or (expected is not None and not ct.kvp):
        limit = "one tube voltage, that of the conversion"
        yield Caution("tube_voltage", "plan", f"{note}: HU depend on it", limit=limit)


def _distances(beam: Beam, machine: MachineModel) -> Iterator[Caution]:
    """The plan's distances against the model's: a note, or a review if they differ."""
    if beam.sad is None:
        return
    off = [100 * (plan / model - 1) for plan, model in zip(beam.sad, machine.sad, strict=True)]
    worst = max(off, key=abs)
    note = (
        f"the plan's {_SOURCE} are {beam.sad[0]:g} and {beam.sad[1]:g} mm (x and y), the beam model's "
        f"{machine.sad[0]:g} and {machine.sad[1]:g} mm"
    )
    review = abs(worst) > _SAME
    swapped = [100 * (plan / model - 1) for plan, model in zip(beam.sad[::-1], machine.sad, strict=True)]
    if review and max(map(abs, swapped)) <= _SAME:
        note += ": x and y are swapped"
    yield Caution(
        "source_distance", f"beam {beam.number}", note, review, value=worst, unit="%", limit=f"within ± {_SAME:g} %"
    )
