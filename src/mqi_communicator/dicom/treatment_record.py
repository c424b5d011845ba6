"""Reads an RT Ion Beams Treatment Record (PS3.3 A.50, C.8.8.26): what a machine recorded, and its contradictions.

Each control point with delivered spots is a recorded layer, wherever systems put them: in the first point of a pair, in
the second, or in single points. Whether the record fits a plan is decided by `treatment.join`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.header import NO_TREATMENT
from mqi_communicator.dicom.problem import DicomProblem, Problem, printable
from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.recorded import CONTINUATION, TREATMENT, RecordedBeam, RecordedDelivery, RecordedLayer
from mqi_communicator.dicom.scan_elements import floats, read_size
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    Doubles = NDArray[np.float64]

ION_RECORD = "1.2.840.10008.5.1.4.1.1.481.9"
_ELEMENTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "TreatmentDate",
    "TreatmentTime",
    "ReferencedRTPlanSequence",
    "TreatmentMachineSequence",
    "PrimaryDosimeterUnit",
    "TreatmentSessionIonBeamSequence",
)
_LIMITS = Limits(elements=1_000_000)  # a record is parsed whole
_SHARE, _LEAST = 0.01, 0.05  # of MU, and MU: by how much totals may differ from the sum of the spots
_LINES = 0x3009  # the group of Sumitomo's delivered lines
_ADVICE = "Export the record again; if it is the same, ask the vendor of the record-and-verify system."


def is_treatment_record(path: Path) -> bool:
    """Return whether a file claims to be one. DicomProblem for a damaged DICOM file; OSError if it cannot be opened."""
    with open_dicom(path, _LIMITS) as opened:
        return opened is not None and opened.sop_class_uid == ION_RECORD


def read_treatment_record(path: Path, limits: Limits | None = None) -> tuple[RecordedDelivery, tuple[Problem, ...]]:
    """Read the record with its treatment beams, and its problems. With problems it must not be judged.

    DicomProblem if the file cannot be read as an RT Ion Beams Treatment Record.
    """
    fewer = replace(limits, elements=min(limits.elements, _LIMITS.elements)) if limits else _LIMITS
    with open_dicom(path, fewer) as opened:
        if opened is None or opened.sop_class_uid != ION_RECORD:
            found = "another kind of object" if opened else "not a DICOM file"
            raise DicomProblem(
                f"{printable(path.name)} is {found}, expected an RT Ion Beams Treatment Record",
                "Give treatment records of proton beams.",
                "record.other",
            )
        return _read(opened)


def _read(opened: Opened) -> tuple[RecordedDelivery, tuple[Problem, ...]]:
    data = opened.parse(opened.spans(), _ELEMENTS)
    collector = Collector(opened.name)
    report = partial(collector.add, advice=_ADVICE)
    plans = {text(item, "ReferencedSOPInstanceUID") for item in data.get("ReferencedRTPlanSequence") or ()} - {""}
    if len(plans) != 1:
        report("record.plan", f"the record refers to {len(plans)} plans (300C,0002)", expected="exactly 1")
    if (unit := text(data, "PrimaryDosimeterUnit", "MU")) != "MU":
        report("record.unit", printable(unit), tag=tagged("PrimaryDosimeterUnit"), expected="MU")
    items = data.get("TreatmentSessionIonBeamSequence") or ()
    beams = [beam for item in items if (beam := _beam(item, _place(item, collector))) is not None]
    if not beams and not collector.problems:
        report("record.no_beams", "the record has no treatment beam")
    return RecordedDelivery(
        uid=text(data, "SOPInstanceUID"),
        digest=_digest(opened),
        source=opened.name,
        plan_uid=plans.pop() if len(plans) == 1 else "",
        machine=_machine(data),
        started=text(data, "TreatmentDate") + text(data, "TreatmentTime").partition(".")[0],
        beams=tuple(beams),
        patient_id=text(data, "PatientID"),
    ), tuple(collector.problems)


def _digest(opened: Opened) -> str:
    digest = hashlib.sha256()
    opened.file.seek(0)
    while part := opened.file.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def _machine(data: Dataset) -> str:
    machines = data.get("TreatmentMachineSequence") or ()
    return text(machines[0], "TreatmentMachineName") if machines else ""


def _place(item: Dataset, collector: Collector) -> Collector:
    name = text(item, "BeamName")
    number = text(item, "ReferencedBeamNumber") or "without a number"
    return collector.of_part(f"beam {number}" + (f" ({printable(name)})" if name else ""))


def _beam(item: Dataset, collector: Collector) -> RecordedBeam | None:
    """Read one beam; None for a beam that is not treatment, and, with a problem, for one that is not understood."""
    kind = text(item, "TreatmentDeliveryType", TREATMENT)
    if kind in NO_TREATMENT:
        return None
    if kind not in (TREATMENT, CONTINUATION):
        expected = f"{TREATMENT} or {CONTINUATION}"
        collector.add(
            "record.kind", printable(kind), tag=tagged("TreatmentDeliveryType"), expected=expected, advice=_ADVICE
        )
    number = collector.measured(item, "ReferencedBeamNumber")
    points = list(item.get("IonControlPointDeliverySequence") or ())
    layers = _layers(points, collector)
    if math.isnan(number):
        return None
    beam = RecordedBeam(
        number=int(number),
        fraction=_fraction(item),
        kind=kind,
        termination=text(item, "TreatmentTerminationStatus", "UNKNOWN"),
        layers=layers,
    )
    if layers:
        _check_totals(item, points, beam, collector)
    return beam


def _fraction(item: Dataset) -> int | None:
    value = item.get("CurrentFractionNumber")
    return None if value in (None, "") else int(value)


def _layers(points: list[Dataset], collector: Collector) -> tuple[RecordedLayer, ...]:
    layers = []
    energy = math.nan
    for index, point in enumerate(points):
        here = collector.of_point(index)
        if point.get("NominalBeamEnergy") is not None or math.isnan(energy):
            energy = here.measured(point, "NominalBeamEnergy")
        mu = floats(point.get("ScanSpotMetersetsDelivered"))
        if mu.any():
            layers += [layer] if (layer := _layer(point, energy, mu, here)) is not None else []
    if not layers and not collector.problems:
        private = any(tag.group == _LINES for point in points for tag in point.keys())  # noqa: SIM118 - unparsed
        more = "; metersets in private elements (3009,xx47) are not read" if private else ""
        collector.add(
            "record.no_spots",
            f"no control point has ScanSpotMetersetsDelivered (3008,0047){more}",
            advice=_ADVICE,
        )
    return tuple(layers)


def _layer(point: Dataset, energy: float, mu: Doubles, collector: Collector) -> RecordedLayer | None:
    report = partial(collector.add, advice=_ADVICE)
    coordinates = floats(point.get("ScanSpotPositionMap"))
    indices = _indices(point.get("ScanSpotPrescribedIndices"))
    if not (np.isfinite(mu).all() and (mu >= 0).all()):
        report("record.spots", "a delivered meterset (3008,0047) is not a number of 0 or more")
    elif coordinates.size != 2 * mu.size:
        report(
            "record.spots",
            f"there are {mu.size} delivered metersets (3008,0047) and {coordinates.size} coordinates (300A,0394)",
            expected="two coordinates for each",
        )
    elif not np.isfinite(coordinates).all():
        report("record.spots", "a position (300A,0394) is not a finite number")
    elif indices is not None and indices.size != mu.size:
        report(
            "record.spots",
            f"there are {mu.size} delivered metersets (3008,0047) and {indices.size} indices (300A,0391)",
            expected="one index for each",
        )
    else:
        in_order = text(point, "ScanSpotReordered") == "NO"
        return RecordedLayer(energy, coordinates.reshape(-1, 2), mu, indices, in_order, read_size(point))
    return None


def _indices(value: object) -> NDArray[np.int64] | None:
    """The indices; an empty one, of a spot without a partner in the plan, is -1."""
    if value is None or value == "":
        return None
    values = [value] if isinstance(value, int | str) else list(value)  # type: ignore[call-overload]
    return np.asarray([-1 if one in (None, "") else int(one) for one in values], dtype=np.int64)


def _check_totals(item: Dataset, points: list[Dataset], beam: RecordedBeam, collector: Collector) -> None:
    """The totals of the record must agree with the sum of its spots: both are MU.

    DeliveredMeterset (3008,0044) is the cumulative value over the beam (C.8.8.21.2.2), which a resumed beam does not
    begin at 0; some systems write the MU of each control point instead.
    """
    total = beam.mu
    if (primary := _number(item, "DeliveredPrimaryMeterset")) is not None and not _same(primary, total):
        collector.add(
            "record.meterset",
            f"{primary:g}",
            tag=tagged("DeliveredPrimaryMeterset"),
            expected=f"{total:g}, the sum of ScanSpotMetersetsDelivered (3008,0047)",
            advice=_ADVICE,
        )
    values = [value for point in points if (value := _number(point, "DeliveredMeterset")) is not None]
    if values and not any(_same(one, total) for one in _possible_totals(values, beam)):
        collector.add(
            "record.meterset",
            f"DeliveredMeterset (3008,0044) goes from {values[0]:g} to {values[-1]:g}, and the spots add up to "
            f"{total:g} MU",
            advice=_ADVICE,
        )


def _possible_totals(values: list[float], beam: RecordedBeam) -> tuple[float, ...]:
    """What the beam's MU are by DeliveredMeterset: of pairs, of single points before or after their spots, or a sum."""
    between = values[-1] - values[0]
    first, last = (float(layer.mu.sum()) for layer in (beam.layers[0], beam.layers[-1]))
    return between, between + first, between + last, values[-1], sum(values)


def _number(data: Dataset, keyword: str) -> float | None:
    value = data.get(keyword)
    return None if value is None or value == "" else float(value)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= max(_SHARE * other, _LEAST)
