"""Writes deliveries as RT Ion Beams Treatment Records (PS3.3 A.50), one for each session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom

from mqi_communicator.case.model import Kind
from mqi_communicator.demo.delivered import DELIVERIES, Part, Session, SpotLayer, sessions_of
from mqi_communicator.demo.sample_case import Uids, encode
from mqi_communicator.demo.sample_images import item
from mqi_communicator.demo.sample_logs import LOG_KINDS, write_logs
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.treatment_record import ION_RECORD

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    Doubles = NDArray[np.float64]

FOLDER, LOGS = "deliveries", "logs"
_PULSE = 0.004  # MU
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime")


def write_deliveries(case: Path, count: int, kind: str = "good", seed: int = 1) -> None:
    """Write records of fractions 1 to `count` of a sample case into its folder `deliveries`, and logs into `logs`.

    The last fraction is of `kind`, the others have no known error. KeyError for an unknown kind; DicomProblem if the
    plan of the case cannot be delivered.
    """
    plan_file = next(path for path in sorted(case.rglob("*")) if path.is_file() and _is_plan(path))
    plan, like = sound_plan(plan_file), pydicom.dcmread(plan_file)
    target = case / FOLDER
    target.mkdir(exist_ok=True)
    for fraction in range(1, count + 1):
        known = kind if fraction == count and kind in DELIVERIES else "good"
        made = sessions_of(plan, fraction, known, seed)
        for number, session in enumerate(made, start=1):
            uids = Uids(f"{plan.sop_instance_uid}|{kind}|{seed}")
            record = record_of(session, like, uids.of("record", fraction, number))
            (target / f"RT.{fraction:02}.{number}.dcm").write_bytes(encode(record))
            write_logs(case / LOGS, session, plan, kind if kind in LOG_KINDS and fraction == count else "")


def _is_plan(path: Path) -> bool:
    header = read_header(path)
    return header is not None and header.kind is Kind.PLAN


def record_of(session: Session, like: Dataset, uid: str) -> Dataset:
    """One session as a record of the patient and machine of the plan `like`."""
    ds = pydicom.Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = ION_RECORD, uid
    ds.Modality, ds.Manufacturer = "RTRECORD", str(like.Manufacturer)
    for keyword in _PATIENT:
        setattr(ds, keyword, like.get(keyword, ""))
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = f"{uid[:60]}.1", 9, session.fraction
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName, ds.OperatorsName = "1", "", "", ""
    ds.TreatmentDate, ds.TreatmentTime = f"202001{session.fraction + 1:02}", f"09{session.minute:02}00"
    ds.ReferencedRTPlanSequence = [
        item(ReferencedSOPClassUID=like.SOPClassUID, ReferencedSOPInstanceUID=session.plan_uid)
    ]
    ds.TreatmentMachineSequence = [
        item(TreatmentMachineName=session.parts[0].beam.machine, Manufacturer=str(like.Manufacturer))
    ]
    ds.ReferencedFractionGroupNumber, ds.NumberOfFractionsPlanned = (
        1,
        like.FractionGroupSequence[0].NumberOfFractionsPlanned,
    )
    ds.PrimaryDosimeterUnit = "MU"
    ds.TreatmentSessionIonBeamSequence = [_beam(part, session) for part in session.parts]
    return ds


def _beam(part: Part, session: Session) -> Dataset:
    layers = [_with_pulse(layer) if session.test_pulses else layer for layer in part.layers]
    total = sum(float(layer.mu.sum()) for layer in layers)
    start = sum(float(layer.weights.sum()) for layer in part.beam.layers[: layers[0].index]) * part.beam.mu_per_weight
    points: list[Dataset] = []
    done = start
    for layer in layers:
        before, done = done, done + float(layer.mu.sum())
        points += _points(len(points), layer, before, done, single=session.test_pulses)
    return item(
        ReferencedBeamNumber=part.beam.own_number,
        BeamName=part.beam.name,
        BeamType="STATIC",
        RadiationType="PROTON",
        ScanMode=part.beam.delivery.scan_mode,
        TreatmentDeliveryType=part.kind,
        TreatmentTerminationStatus=part.termination,
        TreatmentVerificationStatus="VERIFIED",
        CurrentFractionNumber=session.fraction,
        SpecifiedPrimaryMeterset=f"{part.beam.meterset:.6g}",
        DeliveredPrimaryMeterset=f"{total:.6g}",
        NumberOfControlPoints=len(points),
        IonControlPointDeliverySequence=points,
    )


def _with_pulse(layer: SpotLayer) -> SpotLayer:
    """The layer after a test pulse on its first spot, counted from 1."""
    return replace(
        layer,
        positions=np.concatenate([layer.positions[:1], layer.positions]),
        mu=np.concatenate([[_PULSE], layer.mu]),
        indices=np.concatenate([[0], layer.indices + 1]),
    )


def _points(number: int, layer: SpotLayer, before: float, after: float, *, single: bool) -> list[Dataset]:
    """A pair of control points, of which the second has the spots; or one alone."""
    made = [_point(number, layer, before, np.zeros_like(layer.mu))] if not single else []
    return [*made, _point(number + len(made), layer, after, layer.mu)]


def _point(number: int, layer: SpotLayer, meterset: float, mu: Doubles) -> Dataset:
    return item(
        ReferencedControlPointIndex=number,
        TreatmentControlPointDate="20200101",
        TreatmentControlPointTime="090000",
        NominalBeamEnergy=layer.energy,
        DeliveredMeterset=f"{meterset:.8g}",
        ScanSpotReordered="YES",
        NumberOfScanSpotPositions=len(mu),
        ScanSpotPrescribedIndices=[int(one) for one in layer.indices],
        ScanSpotPositionMap=[float(mm) for mm in layer.positions.ravel()],
        ScanSpotMetersetsDelivered=[float(one) for one in mu],
        ScanningSpotSize=list(layer.size),
    )
