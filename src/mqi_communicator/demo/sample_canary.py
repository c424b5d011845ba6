"""A patient with distinctive data to search for: nothing that leaves this machine may contain it."""

from __future__ import annotations

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.sample_private import write_stream

NAME = "Quillfeather^Zanzibrook"
PATIENT_ID = "QXZ77713377"
BIRTH_DATE = "19031213"
LABEL = "Vexbarrow"
PERSON = "Orrinthal"

CANARY = ("Quillfeather", "Zanzibrook", PATIENT_ID, BIRTH_DATE, LABEL, PERSON)
"""The strings to search every artefact for (ignoring case)."""


def plant(draft: Draft) -> None:
    """Put the strings wherever users and planning systems write text: patient, labels, comments, file names."""
    for ds in draft.objects():
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = NAME, PATIENT_ID, BIRTH_DATE
        ds.OtherPatientNames, ds.PatientComments = "Zanzibrook^Q", f"{LABEL} comment"
        ds.OperatorsName, ds.ReferringPhysicianName = f"{PERSON}^Op", f"{PERSON}^Ref"
        ds.StudyDescription, ds.SeriesDescription = f"{LABEL} study", f"{LABEL} series"
        ds.StudyID, ds.AccessionNumber, ds.InstitutionName = LABEL, PATIENT_ID, f"{PERSON} clinic"
    structures = draft.object("RS.dcm")
    structures.StructureSetLabel, structures.StructureSetName = LABEL, f"{LABEL} Quillfeather"
    structures.StructureSetROISequence[2].ROIName = f"Bone {LABEL}"
    plan = draft.object("RP.dcm")
    plan.RTPlanLabel, plan.RTPlanName, plan.RTPlanDescription = LABEL, f"{LABEL} Quillfeather", f"{PERSON} plan"
    write_stream(plan, f"<Plan><Label>{LABEL}</Label><Patient>{PATIENT_ID} Quillfeather</Patient></Plan>")
    for beam in plan.IonBeamSequence:
        beam.BeamName = f"{beam.BeamNumber} {LABEL}"
        beam.BeamDescription = f"Quillfeather {beam.BeamNumber}"
    for dose in draft.objects("RD."):
        dose.DoseComment = f"{LABEL} dose"
    for name in sorted(draft.files):
        draft.rename(name, f"{PATIENT_ID}_Quillfeather/{LABEL}.{name}")
