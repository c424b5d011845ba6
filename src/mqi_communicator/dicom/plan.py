"""Reads an RT Ion Plan (PS3.3 A.49, C.8.8.24 to 26): describes what is planned, and collects contradictions.

What a dose engine cannot compute is not a problem of the plan: engines refuse it (`dose.abilities`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from mqi_communicator.dicom.beam import read_beam
from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.header import ION_PLAN, NO_TREATMENT
from mqi_communicator.dicom.problem import DicomProblem, Problem, printable, refusal
from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.records import Beam, IonPlan
from mqi_communicator.dicom.walk import Limits

_ELEMENTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "FrameOfReferenceUID",
    "RTPlanLabel",
    "RTPlanGeometry",
    "PlanIntent",
    "ApprovalStatus",
    "FractionGroupSequence",
    "PatientSetupSequence",
    "IonBeamSequence",
    "ReferencedStructureSetSequence",
)
_LIMITS = Limits(elements=1_000_000)  # a plan is parsed whole
_OTHER_PLANS = {"1.2.840.10008.5.1.4.1.1.481.5": "an RT Plan (photons or electrons)"}


def read_plan(path: Path, limits: Limits | None = None) -> tuple[IonPlan, tuple[Problem, ...]]:
    """Read the plan with its treatment beams, in plan order, and its problems.

    DicomProblem if the file cannot be read as an RT Ion Plan.
    """
    fewer = replace(limits, elements=min(limits.elements, _LIMITS.elements)) if limits else _LIMITS
    with open_dicom(path, fewer) as opened:
        if opened is None or opened.sop_class_uid != ION_PLAN:
            found = _OTHER_PLANS.get(opened.sop_class_uid, "another kind of object") if opened else "not a DICOM file"
            raise DicomProblem(
                f"{printable(path.name)} is {found}, expected an RT Ion Plan",
                "Export the proton plan (RT Ion Plan).",
                "plan.not_ion",
            )
        return _read(opened)


def sound_plan(path: Path) -> IonPlan:
    """Read a plan without problems. DicomProblem with every reason otherwise."""
    plan, problems = read_plan(path)
    if problems:
        raise refusal(problems)
    return plan


def _read(opened: Opened) -> tuple[IonPlan, tuple[Problem, ...]]:
    data = opened.parse(opened.spans(), _ELEMENTS)
    collector = Collector(opened.name)
    group = _fraction_group(data, collector)
    plan = IonPlan(
        sop_instance_uid=text(data, "SOPInstanceUID"),
        frame_of_reference_uid=text(data, "FrameOfReferenceUID"),
        structure_set_uid=_structure_set(data, collector),
        label=text(data, "RTPlanLabel"),
        manufacturer=text(data, "Manufacturer"),
        fractions=_fractions(group, collector),
        beams=_beams(data, group, collector),
        file=opened.name,
        approval=text(data, "ApprovalStatus"),
        intent=text(data, "PlanIntent"),
        study_uid=text(data, "StudyInstanceUID"),
        patient_id=text(data, "PatientID"),
        model=" ".join(filter(None, (text(data, "ManufacturerModelName"), _version(data)))),
    )
    return plan, tuple(collector.problems)


def _version(data: Dataset) -> str:
    versions = data.get("SoftwareVersions") or ""
    return printable(versions if isinstance(versions, str) else str(versions[0]))


def _fraction_group(data: Dataset, collector: Collector) -> Dataset:
    groups = data.get("FractionGroupSequence") or ()
    if len(groups) != 1:
        collector.add(
            "plan.fraction_groups",
            f"the plan has {len(groups)} fraction groups (300A,0070)",
            expected="exactly 1",
            advice="Export one plan per fraction group.",
        )
    return groups[0] if groups else Dataset()


def _fractions(group: Dataset, collector: Collector) -> int:
    number = collector.measured(group, "NumberOfFractionsPlanned")
    if number < 1:
        collector.add("plan.fractions", f"{number:g}", tag=tagged("NumberOfFractionsPlanned"), expected="1 or more")
    return int(number) if number >= 1 else 0


def _structure_set(data: Dataset, collector: Collector) -> str:
    items = data.get("ReferencedStructureSetSequence") or ()
    uids = {uid for item in items if (uid := text(item, "ReferencedSOPInstanceUID"))}
    if len(uids) != 1:
        collector.add(
            "plan.structure_set",
            f"the plan refers to {len(uids)} structure sets (300C,0060)",
            expected="exactly 1",
            advice="Export the plan with the structure set of its planning CT.",
        )
    return uids.pop() if len(uids) == 1 else ""


def _metersets(group: Dataset, collector: Collector) -> dict[int, Dataset]:
    """Return the items of the fraction group by beam number."""
    items = group.get("ReferencedBeamSequence") or ()
    numbers = [collector.measured(item, "ReferencedBeamNumber") for item in items]
    found = {int(number): item for number, item in zip(numbers, items, strict=True) if not math.isnan(number)}
    if len(set(numbers)) != len(items):
        collector.add("plan.fraction_groups", "the fraction group refers to a beam twice (300C,0006)")
    return found


def _beams(data: Dataset, group: Dataset, collector: Collector) -> tuple[Beam, ...]:
    items = list(data.get("IonBeamSequence") or ())
    references = _metersets(group, collector)
    counted = Counter(collector.whole(item, "BeamNumber") for item in items)
    twice = [str(number) for number, count in counted.items() if count > 1]
    if twice:
        collector.add("plan.beam_numbers", f"BeamNumber (300A,00C0) {', '.join(twice)} is used for several beams")
    setups = {text(item, "PatientSetupNumber"): item for item in data.get("PatientSetupSequence") or ()}
    beams = [
        read_beam(item, references, _position(item, setups), collector.of_beam(item))
        for item in items
        if text(item, "TreatmentDeliveryType") not in NO_TREATMENT
    ]
    if not beams:
        collector.add(
            "plan.no_beams", f"the plan has no treatment beam ({len(items)} beams in total, all of them setup beams)"
        )
    for unknown in sorted(set(references) - set(counted)):
        collector.add("plan.beams", f"the fraction group refers to beam {unknown}, which the plan does not contain")
    return _numbered(beams, max(counted, default=0))


def _position(item: Dataset, setups: dict[str, Dataset]) -> str:
    """Return PatientPosition of the beam's patient setup. A beam without one has that of the plan, if it is unique."""
    own = setups.get(text(item, "ReferencedPatientSetupNumber"))
    if own is not None:
        return text(own, "PatientPosition")
    positions = {text(setup, "PatientPosition") for setup in setups.values()}
    return positions.pop() if len(positions) == 1 else ", ".join(sorted(positions))


def _numbered(beams: Sequence[Beam], highest: int) -> tuple[Beam, ...]:
    """Return beams with numbers from 1: one that the plan numbers below 1 gets a number above all others."""
    made = []
    for beam in beams:
        if beam.number < 1:
            highest = max(highest, 0) + 1
            made.append(replace(beam, number=highest, plan_number=beam.number))
        else:
            made.append(beam)
    return tuple(made)
