"""Reading one beam of an RT Ion Plan: modulated spot scanning with nothing in the way, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.dicom.layers import read_layers
from mqi_communicator.dicom.problem import shown
from mqi_communicator.dicom.records import Beam
from mqi_communicator.dicom.words import Words, named

if TYPE_CHECKING:
    from pydicom import Dataset

_SCAN_MODES = {
    "LINE": "line scanning; its weights belong to segments, not to spots",
    "UNIFORM": "uniform scanning",
    "MODULATED_SPEC": "modulated scanning with a manufacturer's own rules",
    "NONE": "passive scattering",
}
_DEVICES = (
    ("range shifter", "NumberOfRangeShifters", "RangeShifterSequence"),
    ("block or aperture", "NumberOfBlocks", "IonBlockSequence"),
    ("collimator", "", "IonBeamLimitingDeviceSequence"),
    ("bolus", "NumberOfBoli", "ReferencedBolusSequence"),
    ("compensator", "NumberOfCompensators", "IonRangeCompensatorSequence"),
    ("wedge", "NumberOfWedges", "IonWedgeSequence"),
    ("range modulator", "NumberOfRangeModulators", "RangeModulatorSequence"),
    ("lateral spreading device", "NumberOfLateralSpreadingDevices", "LateralSpreadingDeviceSequence"),
)
_FIXED = ("GantryAngle", "PatientSupportAngle", "GantryPitchAngle", "TableTopPitchAngle", "TableTopRollAngle")
_LEVEL = ("GantryPitchAngle", "TableTopPitchAngle", "TableTopRollAngle", "HeadFixationAngle")
_MOVING = ("GantryRotationDirection", "PatientSupportRotationDirection", "GantryPitchRotationDirection")
_SAME = 0.01  # degrees or mm: closer than any machine stands


def read_beam(item: Dataset, references: dict[int, Dataset], words: Words) -> Beam:
    """One treatment beam. `references` are the fraction group's items by beam number."""
    number = int(item.BeamNumber)
    _refuse_other_delivery(item, words)
    _refuse_devices(item, words)
    points = list(item.get("IonControlPointSequence", ()))
    if len(points) != item.get("NumberOfControlPoints", len(points)) or not points:
        raise words.problem(
            f"{len(points)} control points are there, {named('NumberOfControlPoints')} says "
            f"{item.get('NumberOfControlPoints')}",
            "beam.control_points",
        )
    first = points[0]
    _refuse_motion(points, words)
    if number not in references:
        raise words.problem("the fraction group does not name this beam, so it has no meterset", "beam.meterset")
    meterset = words.number(references[number], "BeamMeterset")
    final = words.number(item, "FinalCumulativeMetersetWeight")
    for value, keyword in ((meterset, "BeamMeterset"), (final, "FinalCumulativeMetersetWeight")):
        if value <= 0:
            raise words.problem(f"{named(keyword)} is {value:g}, expected more than 0", "beam.meterset")
    return Beam(
        number=number,
        name=str(item.get("BeamName", "")),
        machine=str(item.get("TreatmentMachineName", "") or ""),
        gantry_angle=words.number(first, "GantryAngle"),
        couch_angle=words.number(first, "PatientSupportAngle"),
        isocenter=_isocenter(first, words),
        meterset=meterset,
        final_cumulative_weight=final,
        layers=read_layers(points, final, words),
        snout_position=None if first.get("SnoutPosition") is None else words.number(first, "SnoutPosition"),
    )


def _refuse_other_delivery(item: Dataset, words: Words) -> None:
    """Anything but protons in MU, delivered as modulated scanning, to a patient on a table."""
    delivery = str(item.get("TreatmentDeliveryType", ""))
    if delivery != "TREATMENT":
        raise words.problem(
            f"TreatmentDeliveryType (300A,00CE) is {shown(delivery) or 'missing'}, expected TREATMENT",
            "beam.delivery_type",
        )
    radiation = str(item.get("RadiationType", ""))
    if radiation != "PROTON":
        raise words.problem(
            f"RadiationType (300A,00C6) is {shown(radiation) or 'missing'}; only PROTON is computed", "beam.radiation"
        )
    mode = str(item.get("ScanMode", ""))
    if mode != "MODULATED":
        meaning = _SCAN_MODES.get(mode, "")
        raise words.problem(
            f"ScanMode (300A,0308) is {shown(mode) or 'missing'}{f' ({meaning})' if meaning else ''}; "
            "only MODULATED (spot scanning) is computed",
            "beam.scan_mode",
            "This plan cannot be recalculated here.",
        )
    unit = str(item.get("PrimaryDosimeterUnit", "MU"))
    if unit != "MU":
        raise words.problem(f"PrimaryDosimeterUnit (300A,00B3) is {shown(unit)}; only MU is computed", "beam.unit")
    if str(item.get("PatientSupportType", "TABLE")) != "TABLE":
        raise words.problem(
            f"PatientSupportType (300A,0350) is {shown(str(item.PatientSupportType))}; only TABLE is computed",
            "beam.support",
        )


def _refuse_devices(item: Dataset, words: Words) -> None:
    """Anything that stands or is switched between the nozzle and the patient."""
    for device, counter, sequence in _DEVICES:
        count = max(int(item.get(counter) or 0) if counter else 0, len(item.get(sequence, ())))
        if count:
            raise words.problem(
                f"the beam has {count} x {device}, {named(sequence)}; only open beams are computed",
                f"beam.{device.replace(' ', '_')}",
                f"This beam cannot be recalculated here; a plan without {device} can.",
            )


def _refuse_motion(points: list[Dataset], words: Words) -> None:
    """A tilted couch, or a gantry, couch or isocentre that moves within the beam."""
    first = points[0]
    for keyword in _LEVEL:
        angle = float(first.get(keyword) or 0)
        if not abs((angle + 180) % 360 - 180) <= _SAME:  # so that NaN is refused too
            raise words.problem(f"{named(keyword)} is {angle:g} degrees; only 0 is computed", "beam.tilt")
    for index, point in enumerate(points):
        here = words.of_point(index)
        for keyword in _MOVING:
            if str(point.get(keyword) or "NONE") != "NONE":
                raise here.problem(f"{named(keyword)} is {point.get(keyword)}; no arcs are computed", "beam.arc")
        for keyword in _FIXED:
            moved = point.get(keyword)
            if moved is not None and not abs(float(moved) - float(first.get(keyword) or 0)) <= _SAME:
                raise here.problem(
                    f"{named(keyword)} changes within the beam, from {first.get(keyword)} to {moved}", "beam.arc"
                )
        centre = point.get("IsocenterPosition")
        if centre and any(
            abs(a - b) > _SAME for a, b in zip(_isocenter(point, here), _isocenter(first, words), strict=True)
        ):
            raise here.problem("IsocenterPosition (300A,012C) changes within the beam", "beam.isocenter")


def _isocenter(point: Dataset, words: Words) -> tuple[float, float, float]:
    x, y, z = words.numbers(point, "IsocenterPosition", 3)
    return x, y, z
