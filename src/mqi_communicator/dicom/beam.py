"""Reads one beam of an RT Ion Plan (PS3.3 C.8.8.25): describes it as planned, and collects contradictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mqi_communicator.dicom.apertures import limiting_angle, read_apertures
from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.device_counts import has_possible_counts
from mqi_communicator.dicom.devices import read_devices
from mqi_communicator.dicom.layers import read_layers
from mqi_communicator.dicom.line_block import has_private_spots
from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.range_shifters import check_snout, read_shifter_settings
from mqi_communicator.dicom.records import Beam, Delivery, Motion
from mqi_communicator.dicom.scan_elements import read_paintings
from mqi_communicator.dicom.scanning import LINE, scanning_of

if TYPE_CHECKING:
    from pydicom import Dataset

_ANGLES = ("GantryAngle", "PatientSupportAngle")
_TILTS = ("GantryPitchAngle", "TableTopPitchAngle", "TableTopRollAngle", "HeadFixationAngle", "TableTopEccentricAngle")
_DIRECTIONS = ("GantryRotationDirection", "PatientSupportRotationDirection", "GantryPitchRotationDirection")
_SAME = 0.01  # degrees or mm: below the positioning accuracy of any machine


def read_beam(item: Dataset, references: dict[int, Dataset], position: str, collector: Collector) -> Beam:
    """Read one treatment beam. `references`: the fraction group's items by beam number; `position`: PatientPosition."""
    points = list(item.get("IonControlPointSequence") or ())
    _check_count(item, points, collector)
    delivery = _delivery(item, points)
    first = points[0] if points else None
    final = _positive(item, "FinalCumulativeMetersetWeight", collector)
    scanning = scanning_of(delivery) if points else None
    possible = has_possible_counts(item, points, collector)
    shifters = read_shifter_settings(item, points) if possible else [()] * len(points)
    if any(shifters):
        check_snout(points, collector)
    return Beam(
        number=int(item.BeamNumber),
        name=text(item, "BeamName"),
        machine=text(item, "TreatmentMachineName"),
        gantry_angle=collector.measured(first, "GantryAngle") if first else math.nan,
        couch_angle=collector.measured(first, "PatientSupportAngle") if first else math.nan,
        isocenter=_isocenter(first, collector) if first else (math.nan, math.nan, math.nan),
        meterset=_meterset(int(item.BeamNumber), references, collector),
        final_cumulative_weight=final,
        layers=read_layers(points, final, shifters, scanning, collector) if scanning else (),
        snout_position=_optional(first, "SnoutPosition"),
        position=position,
        delivery=delivery,
        devices=read_devices(item, points, delivery.scan_mode) if possible else (),
        apertures=read_apertures(item, points, collector),
        limiting_angle=limiting_angle(points),
        boli=_boli(item),
        motions=_motions(points, collector),
        sad=_source_distances(item),
    )


def _check_count(item: Dataset, points: list[Dataset], collector: Collector) -> None:
    count = item.get("NumberOfControlPoints")
    if not points or (count is not None and count != len(points)):
        collector.add(
            "beam.control_points",
            f"{len(points)} control points found, {tagged('NumberOfControlPoints')} is {count}",
        )


def _delivery(item: Dataset, points: list[Dataset]) -> Delivery:
    scan_mode = text(item, "ScanMode")
    private = scan_mode == LINE
    return Delivery(
        kind=text(item, "TreatmentDeliveryType"),
        radiation=text(item, "RadiationType"),
        scan_mode=scan_mode,
        scan_type=text(item, "ModulatedScanModeType"),
        private_spots=not private and any(has_private_spots(point) for point in points),
        paintings=max((read_paintings(point, private=private) for point in points), default=1),
        unit=text(item, "PrimaryDosimeterUnit", "MU"),
        support=text(item, "PatientSupportType", "TABLE"),
    )


def _meterset(number: int, references: dict[int, Dataset], collector: Collector) -> float:
    if number in references:
        return _positive(references[number], "BeamMeterset", collector)
    collector.add("beam.meterset", "the fraction group does not refer to this beam, so it has no meterset")
    return math.nan


def _positive(data: Dataset, keyword: str, collector: Collector) -> float:
    value = collector.measured(data, keyword)
    if value <= 0:
        collector.add("beam.meterset", f"{value:g}", tag=tagged(keyword), expected="more than 0")
        return math.nan
    return value


def _boli(item: Dataset) -> tuple[int, ...]:
    numbers = (one.get("ReferencedROINumber") for one in item.get("ReferencedBolusSequence") or ())
    return tuple(int(number) for number in numbers if number not in (None, ""))


def _optional(data: Dataset | None, keyword: str) -> float | None:
    value = None if data is None else data.get(keyword)
    return None if value is None or value == "" else float(value)


def _source_distances(item: Dataset) -> tuple[float, float] | None:
    """Return VirtualSourceAxisDistances; None if the plan has no two positive numbers there."""
    values = tuple(float(value) for value in item.get("VirtualSourceAxisDistances") or ())
    if len(values) != 2 or not all(math.isfinite(value) and value > 0 for value in values):  # noqa: PLR2004 - x and y
        return None
    return values[0], values[1]


def _isocenter(point: Dataset, collector: Collector) -> tuple[float, float, float]:
    values = tuple(float(value) for value in point.get("IsocenterPosition") or ())
    if len(values) != 3 or not all(map(math.isfinite, values)):  # noqa: PLR2004 - x, y, z
        collector.add("dicom.missing", "", tag=tagged("IsocenterPosition"), expected="three numbers in mm")
        return math.nan, math.nan, math.nan
    return values[0], values[1], values[2]


def _motions(points: list[Dataset], collector: Collector) -> tuple[Motion, ...]:
    """Return tilts, and elements that change within the beam, each once."""
    found: dict[str, Motion] = {}
    first = points[0] if points else None
    for keyword in _TILTS:
        angle = _optional(first, keyword) or 0.0
        if not abs((angle + 180) % 360 - 180) <= _SAME:  # so that NaN counts as a tilt too
            found[keyword] = Motion(tagged(keyword), f"is {angle:g} degrees", tilt=True)
    for index, point in enumerate(points):
        for keyword in _DIRECTIONS:
            if (direction := text(point, keyword, "NONE")) != "NONE":
                found.setdefault(keyword, Motion(tagged(keyword), f"is {printable(direction)}", tilt=False))
        for keyword in (*_ANGLES, *_TILTS):
            here, before = _optional(point, keyword), _optional(first, keyword) or 0.0
            if here is not None and not abs(here - before) <= _SAME:
                change = f"changes from {before:g} to {here:g} degrees at control point {index}"
                found.setdefault(f"{keyword} moves", Motion(tagged(keyword), change, tilt=False))
        if index and point.get("IsocenterPosition"):
            here3, first3 = _isocenter(point, collector.of_point(index)), _isocenter(points[0], collector)
            if any(abs(a - b) > _SAME for a, b in zip(here3, first3, strict=True)):
                tag = tagged("IsocenterPosition")
                found.setdefault("isocentre", Motion(tag, f"changes at control point {index}", tilt=False))
    return tuple(found.values())
