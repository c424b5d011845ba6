"""Reads how range shifters are set at each control point of a beam (PS3.3 C.8.8.25)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.records import ShifterSetting

if TYPE_CHECKING:
    from pydicom import Dataset

Settings = tuple[ShifterSetting, ...]
"""Those of all range shifters of a beam."""

_SAME = 0.01  # mm: below the positioning accuracy of any machine


def read_shifter_settings(item: Dataset, points: Sequence[Dataset]) -> list[Settings]:
    """Return the settings of every range shifter of a beam, one tuple per control point.

    An element that a control point lacks has the value of the control point before it: planning systems write the
    settings in the first one alone. A shifter that is set but not listed, that is counted only, or whose number is
    used twice has no ID or no setting.
    """
    listed = list(item.get("RangeShifterSequence") or ())
    numbers = Counter(_number(one, "RangeShifterNumber") for one in listed)
    unset = [ShifterSetting(text(one, "RangeShifterID"), "", None, None) for one in listed]
    state = {
        number if numbers[number] == 1 else f"{number}, item {index}": setting
        for index, (setting, one) in enumerate(zip(unset, listed, strict=True))
        for number in [_number(one, "RangeShifterNumber")]
    }
    missing = int(item.get("NumberOfRangeShifters") or 0) - len(listed)
    state |= {f"not listed {index}": ShifterSetting("", "", None, None) for index in range(missing)}
    found: list[Settings] = []
    for point in points:
        for one in point.get("RangeShifterSettingsSequence") or ():
            number = _number(one, "ReferencedRangeShifterNumber")
            state[number] = _changed(state.get(number, ShifterSetting("", "", None, None)), one)
        found.append(tuple(state.values()))
    return found


def check_snout(points: Sequence[Dataset], collector: Collector) -> None:
    """Collect a problem if SnoutPosition changes within a beam: a range shifter that moves with the snout would too."""
    positions = [value for point in points if (value := _length(point, "SnoutPosition")) is not None]
    moved = [value for value in positions if not abs(value - positions[0]) <= _SAME]
    if moved:
        collector.add(
            "beam.range_shifter",
            f"{tagged('SnoutPosition')} changes from {positions[0]:g} to {moved[0]:g} mm",
            expected="one position in a beam with a range shifter",
        )


def _changed(before: ShifterSetting, one: Dataset) -> ShifterSetting:
    distance = _length(one, "IsocenterToRangeShifterDistance")
    wet = _length(one, "RangeShifterWaterEquivalentThickness")
    return replace(
        before,
        setting=text(one, "RangeShifterSetting", before.setting),
        distance=before.distance if distance is None else distance,
        wet=before.wet if wet is None else wet,
    )


def _length(one: Dataset, keyword: str) -> float | None:
    value = one.get(keyword)
    return None if value is None or value == "" else float(value)


def _number(item: Dataset, keyword: str) -> str:
    return text(item, keyword, "?")
