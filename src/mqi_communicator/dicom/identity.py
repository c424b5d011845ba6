"""Reads from a plan what identifies its case to the staff: patient id and plan label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.case.identity import CaseIdentity, Mask
from mqi_communicator.case.visible import visible
from mqi_communicator.dicom.problem import DicomProblem, printable
from mqi_communicator.dicom.reading import open_dicom
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from pydicom import Dataset

_ELEMENTS = ("PatientName", "PatientID", "PatientBirthDate", "RTPlanLabel")
_LIMITS = Limits()
_LONGEST = 64  # characters: the limit of PatientID (VR LO); a longer text is cut


def read_identity(plan: Path) -> CaseIdentity:
    """Read the identity of a plan, without its machine. DicomProblem if the file cannot be read.

    Parts of the patient's name and birth date are masked in the label, since pages show the id at most.
    """
    with open_dicom(plan, _LIMITS) as opened:
        if opened is None:
            raise DicomProblem(f"{printable(plan.name)} is not a DICOM file", "Export the plan again.")
        data = opened.parse(opened.spans(), _ELEMENTS)
        mask = Mask(_text(data, "PatientName"), _text(data, "PatientBirthDate"))
        return CaseIdentity(
            patient_id=id_line(_text(data, "PatientID")),
            plan_label=id_line(mask(_text(data, "RTPlanLabel"))),
        )


def _text(data: Dataset, name: str) -> str:
    return str(data.get(name, "") or "")


def id_line(text: str) -> str:
    """Text of an identity as the store has it: one visible line of at most 64 characters."""
    return visible(" ".join(text.split()))[:_LONGEST]
