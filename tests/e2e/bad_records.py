"""Treatment records as they should not be, and what `mqi delivery` reports of each: a section of docs/bad-input.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from tests.delivered import plan_in, records, write
from tests.e2e.bad_inputs import Outcome, plain

from mqi_communicator.cli.delivery_summary import judge_files


@dataclass(frozen=True)
class BadRecord:
    """One delivery: `what` it is in words, its `kind`, and `says`, what must be read of it."""

    what: str
    kind: str
    end: str
    says: str
    change: Callable[[Dataset], None] | None = None
    cut: int = 0  # bytes that are left of the file; 0: all


def _points(record: Dataset) -> list[Dataset]:
    return list(record.TreatmentSessionIonBeamSequence[0].IonControlPointDeliverySequence)


def _without_a_layer(record: Dataset) -> None:
    record.TreatmentSessionIonBeamSequence[0].IonControlPointDeliverySequence = [
        *_points(record)[:2],
        *_points(record)[4:],
    ]
    for point in _points(record):
        point.DeliveredMeterset = None
    del record.TreatmentSessionIonBeamSequence[0].DeliveredPrimaryMeterset


def _other_energies(record: Dataset) -> None:
    for point in _points(record):
        point.NominalBeamEnergy = float(point.NominalBeamEnergy) + 0.7


def _mirrored(record: Dataset) -> None:
    for point in _points(record):
        point.ScanSpotPositionMap = [-float(mm) for mm in point.ScanSpotPositionMap]


def _weights(record: Dataset) -> None:
    for point in _points(record):
        point.ScanSpotMetersetsDelivered = [1.25 * float(mu) for mu in np.atleast_1d(point.ScanSpotMetersetsDelivered)]


def _particles(record: Dataset) -> None:
    record.PrimaryDosimeterUnit = "NP"


def _no_plan(record: Dataset) -> None:
    del record.ReferencedRTPlanSequence


def _other_beam(record: Dataset) -> None:
    record.TreatmentSessionIonBeamSequence[0].ReferencedBeamNumber = 7


def _no_spots(record: Dataset) -> None:
    for point in _points(record):
        del point.ScanSpotMetersetsDelivered


RECORDS = (
    BadRecord("of another plan of the same patient", "other-plan", "not_judged", "the record is of another plan"),
    BadRecord("of no plan", "good", "not_judged", "refers to 0 plans (300C,0002)", _no_plan),
    BadRecord("a beam with the layers of another", "swapped-beams", "not_judged", "beam 1"),
    BadRecord("a beam that the plan has not", "good", "not_judged", "no treatment beam 7, only 1, 2", _other_beam),
    BadRecord("other energies", "good", "not_judged", "which no layer of the planned beam has", _other_energies),
    BadRecord("a layer is missing", "good", "not_judged", "layer 2 of 7 is not recorded", _without_a_layer),
    BadRecord("spots mirrored", "good", "not_judged", "correlation", _mirrored),
    BadRecord("weights instead of MU", "good", "not_judged", "expected 100, the sum of", _weights),
    BadRecord("metersets in particles", "good", "not_judged", "is NP, expected MU", _particles),
    BadRecord("no spots", "good", "not_judged", "no control point has ScanSpotMetersetsDelivered", _no_spots),
    BadRecord("cut in the middle", "good", "not_judged", "ends early", cut=9000),
    BadRecord("a record that repeats the plan", "echo", "not_judged", "repeats the plan in every spot"),
    BadRecord("interrupted, and no record of the rest", "unfinished", "not_judged", "has no record in this fraction"),
    BadRecord("a fraction delivered twice", "repeated", "fail", "100 % more than the 146 MU planned"),
    BadRecord("3 % more MU than planned", "more-in-all", "fail", "3 % more than the 146 MU planned"),
)


def reported(bad: BadRecord, folder: Path) -> Outcome:
    """What `mqi delivery` reports of it."""
    plan_file, plan = plan_in(folder)
    made = records(plan, bad.kind)
    for record in made:
        if bad.change:
            bad.change(record)
    paths = write(folder, made)
    if bad.cut:
        paths[0].write_bytes(paths[0].read_bytes()[: bad.cut])
    judged = judge_files(paths, plan_file, None)
    assert judged is not None
    advice = " ".join(dict.fromkeys(problem.advice for problem in judged.refused if problem.advice))
    text = "<br>".join(map(str, judged.refused)) or judged.document.why
    return Outcome(bad.what, plain(text), advice, judged.document.word.value)
