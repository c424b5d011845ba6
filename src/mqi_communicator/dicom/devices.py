"""Reads the devices between nozzle and patient (PS3.3 C.8.8.25). Engines decide whether to refuse them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.apertures import kinds_of_blocks
from mqi_communicator.dicom.collector import tagged, text
from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.records import Device

if TYPE_CHECKING:
    from pydicom import Dataset

SCANNED = frozenset({"MODULATED", "MODULATED_SPEC", "LINE"})
"""Scan modes in which magnets move the beam from spot to spot or along lines. With UNIFORM they wobble it."""

_OTHERS = (  # kind, counter, sequence
    ("collimator", "", "IonBeamLimitingDeviceSequence"),
    ("bolus", "NumberOfBoli", "ReferencedBolusSequence"),
    ("compensator", "NumberOfCompensators", "IonRangeCompensatorSequence"),
    ("wedge", "NumberOfWedges", "IonWedgeSequence"),
    ("range modulator", "NumberOfRangeModulators", "RangeModulatorSequence"),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """The keywords of devices that are set per control point."""

    prefix: str  # "RangeShifter"
    counter: str
    settings: str


_SHIFTER = _Kind("RangeShifter", "NumberOfRangeShifters", "RangeShifterSettingsSequence")
_SPREADER = _Kind("LateralSpreadingDevice", "NumberOfLateralSpreadingDevices", "LateralSpreadingDeviceSettingsSequence")


@dataclass(frozen=True, slots=True)
class _State:
    """One device of a beam: its settings and water-equivalent thicknesses, each once, in order."""

    name: str
    type: str
    settings: tuple[str, ...]  # "" first where a control point before the first setting has none
    wet: tuple[float, ...]  # mm

    @property
    def description(self) -> str:
        """For example: RS_3CM (BINARY) IN, water-equivalent thickness 34.3 mm."""
        kind = f" ({printable(self.type)})" if self.type else ""
        settings = " and ".join(printable(one) or "without a setting" for one in self.settings) or "without a setting"
        wet = " and ".join(f"{one:g}" for one in self.wet)
        return f"{printable(self.name) or 'unnamed'}{kind} {settings}" + (
            f", water-equivalent thickness {wet} mm" if wet else ""
        )


def read_devices(item: Dataset, points: Sequence[Dataset], scan_mode: str) -> tuple[Device, ...]:
    """Read the devices in the beam. A range shifter that is OUT at every control point is not one.

    Scanning magnets (type MAGNET, no thickness, in a scanning mode) repeat VirtualSourceAxisDistances (300A,030A) and
    are not devices either.
    """
    shifters = [
        Device("range shifter", tagged("RangeShifterSequence"), state.description)
        for state in _states(item, points, _SHIFTER)
        if state.settings != ("OUT",)
    ]
    spreaders = [
        Device("spreader", tagged("LateralSpreadingDeviceSequence"), state.description)
        for state in _states(item, points, _SPREADER)
        if not (scan_mode in SCANNED and state.type == "MAGNET" and not any(state.wet))
    ]
    others = [
        Device(kind, tagged(sequence), f"{count} of them")
        for kind, counter, sequence in _OTHERS
        if (count := max(_count(item, counter), len(item.get(sequence) or ())))
    ]
    return (*shifters, *spreaders, *_blocks(item), *others)


def _blocks(item: Dataset) -> list[Device]:
    kinds = zip(("aperture", "shielding block"), kinds_of_blocks(item), strict=True)
    return [Device(kind, tagged("IonBlockSequence"), f"{count} of them") for kind, count in kinds if count]


def _count(item: Dataset, counter: str) -> int:
    return int(item.get(counter) or 0) if counter else 0


def _states(item: Dataset, points: Sequence[Dataset], kind: _Kind) -> list[_State]:
    """Return each device that is listed, counted or set. A setting holds until the next control point with one."""
    listed = list(item.get(f"{kind.prefix}Sequence") or ())
    states = {_number(one, f"{kind.prefix}Number"): one for one in listed}
    settings: dict[str, list[str]] = {number: [] for number in states}
    thickness: dict[str, list[float]] = {number: [] for number in states}
    for index, point in enumerate(points):
        for one in point.get(kind.settings) or ():
            number = _number(one, f"Referenced{kind.prefix}Number")
            word = text(one, f"{kind.prefix}Setting")
            settings.setdefault(number, [""] if index else []).append(word)
            wet = one.get(f"{kind.prefix}WaterEquivalentThickness")
            if wet is not None:
                thickness.setdefault(number, []).append(float(wet))
        if index == 0:
            for number in states:
                settings[number] = settings[number] or [""]
    found = [
        _State(
            text(states[number], f"{kind.prefix}ID") if number in states else number,
            text(states[number], f"{kind.prefix}Type") if number in states else "",
            tuple(dict.fromkeys(description)),
            tuple(dict.fromkeys(thickness.get(number, ()))),
        )
        for number, description in settings.items()
    ]
    missing = _count(item, kind.counter) - len(listed)
    return [*found, *(_State("", "", (), ()) for _ in range(missing))]


def _number(item: Dataset, keyword: str) -> str:
    return text(item, keyword, "?")
