"""Reading an RT Ion Plan: all of it is understood, or the plan is refused by name (PS3.3 A.49, C.8.8.24 to 26)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.dicom.beam import read_beam
from mqi_communicator.dicom.header import ION_PLAN
from mqi_communicator.dicom.problem import DicomProblem, shown
from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.records import Beam, IonPlan
from mqi_communicator.dicom.walk import Limits
from mqi_communicator.dicom.words import Words

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = (
    0x00080016,
    0x00080018,
    0x00080070,
    0x00200052,
    0x300A0002,
    0x300A000C,
    0x300A0070,
    0x300A0180,
    0x300A03A2,
    0x300C0060,
)
_LIMITS = Limits(elements=1_000_000)  # a plan is parsed whole
_SKIPPED = frozenset({"SETUP", "OPEN_PORTFILM"})  # pictures, no treatment
_OTHER_PLANS = {"1.2.840.10008.5.1.4.1.1.481.5": "an RT Plan (photons or electrons)"}


def read_plan(path: Path, limits: Limits | None = None) -> IonPlan:
    """The treatment beams of a plan of one fraction group, in plan order. DicomProblem names whatever else it holds."""
    with open_dicom(path, limits or _LIMITS) as opened:
        if opened is None or opened.sop_class_uid != ION_PLAN:
            found = _OTHER_PLANS.get(opened.sop_class_uid, "another kind of object") if opened else "no DICOM file"
            raise DicomProblem(
                f"{shown(path.name)} is {found}, expected an RT Ion Plan",
                "Export the proton plan (RT Ion Plan).",
                "plan.not_ion",
            )
        return _read(opened)


def _read(opened: Opened) -> IonPlan:
    data = opened.parse(opened.spans(), _TAGS)
    words = Words(opened.name)
    _refuse_other_positions(data, words)
    group = _fraction_group(data, words)
    fractions = words.whole(group, "NumberOfFractionsPlanned")
    if fractions < 1:
        raise words.problem(
            f"NumberOfFractionsPlanned (300A,0078) is {fractions}, expected 1 or more", "plan.fractions"
        )
    return IonPlan(
        sop_instance_uid=str(data.SOPInstanceUID),
        frame_of_reference_uid=str(data.get("FrameOfReferenceUID", "")),
        structure_set_uid=_structure_set(data, words),
        label=str(data.get("RTPlanLabel", "")),
        manufacturer=str(data.get("Manufacturer", "")),
        fractions=fractions,
        beams=_beams(data, _metersets(group, words), words),
    )


def _refuse_other_positions(data: Dataset, words: Words) -> None:
    for setup in data.get("PatientSetupSequence", ()):
        position = str(setup.get("PatientPosition", "HFS"))
        if position != "HFS":
            raise words.problem(
                f"PatientPosition (0018,5100) is {shown(position)}; only head first supine (HFS) is computed",
                "plan.position",
            )


def _fraction_group(data: Dataset, words: Words) -> Dataset:
    groups = data.get("FractionGroupSequence", ())
    if len(groups) != 1:
        raise words.problem(
            f"the plan has {len(groups)} fraction groups (300A,0070), expected exactly 1",
            "plan.fraction_groups",
            "Export one plan per fraction group.",
        )
    return groups[0]


def _structure_set(data: Dataset, words: Words) -> str:
    uids = {str(item.ReferencedSOPInstanceUID) for item in data.get("ReferencedStructureSetSequence", ())}
    if len(uids) != 1:
        raise words.problem(
            f"the plan refers to {len(uids)} structure sets (300C,0060), expected exactly 1",
            "plan.structure_set",
            "Export the plan with the structure set of its planning CT.",
        )
    return uids.pop()


def _metersets(group: Dataset, words: Words) -> dict[int, Dataset]:
    """The items of the fraction group by beam number."""
    items = {int(item.ReferencedBeamNumber): item for item in group.get("ReferencedBeamSequence", ())}
    if len(items) != len(group.get("ReferencedBeamSequence", ())):
        raise words.problem("the fraction group names a beam twice (300C,0006)", "plan.fraction_groups")
    return items


def _beams(data: Dataset, references: dict[int, Dataset], words: Words) -> tuple[Beam, ...]:
    items = data.get("IonBeamSequence", ())
    counted = Counter(words.whole(item, "BeamNumber") for item in items)
    twice = [str(number) for number, count in counted.items() if count > 1]
    if twice:
        raise words.problem(f"BeamNumber (300A,00C0) {', '.join(twice)} is given to several beams", "plan.beam_numbers")
    beams = tuple(
        read_beam(item, references, words.of_beam(item))
        for item in items
        if str(item.get("TreatmentDeliveryType", "")) not in _SKIPPED
    )
    if not beams:
        raise words.problem(
            f"the plan has no treatment beam ({len(items)} beams in all, the rest are setup beams)", "plan.no_beams"
        )
    unknown = sorted(set(references) - set(counted))
    if unknown:
        raise words.problem(f"the fraction group names beam {unknown[0]}, which the plan does not have", "plan.beams")
    return beams
