"""Range shifters and apertures in an RT Ion Plan for an engine (PS3.3 C.8.8.25). They contain no text of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.decimal_string import decimal
from mqi_communicator.dicom.outgoing import item
from mqi_communicator.dicom.records import SOURCE_SIDE

if TYPE_CHECKING:
    from pydicom import Dataset

_DIGITS = 4  # of an outline, behind the point, in mm


@dataclass(frozen=True, slots=True)
class SentShifter:
    """A range shifter that is in the beam for all layers, in the elements of the plan."""

    distance: float  # mm, IsocenterToRangeShifterDistance (300A,0364)
    wet: float  # mm, RangeShifterWaterEquivalentThickness (300A,0366)


@dataclass(frozen=True, slots=True)
class SentAperture:
    """An aperture of one opening, in the elements of the plan."""

    outline: tuple[tuple[float, float], ...]  # mm, BlockData (300A,0106)
    distance: float  # mm, IsocenterToBlockTrayDistance (300A,00F7); the block is on the source's side of it
    thickness: float  # mm, BlockThickness (300A,0100)


def shifter_item() -> Dataset:
    """The item of RangeShifterSequence (300A,0314)."""
    return item(RangeShifterNumber=1, RangeShifterID="MQI", AccessoryCode="", RangeShifterType="BINARY")


def shifter_setting(shifter: SentShifter) -> Dataset:
    """The item of RangeShifterSettingsSequence (300A,0360), the same in every control point."""
    return item(
        ReferencedRangeShifterNumber=1,
        RangeShifterSetting="IN",
        IsocenterToRangeShifterDistance=shifter.distance,
        RangeShifterWaterEquivalentThickness=shifter.wet,
    )


def block_item(aperture: SentAperture) -> Dataset:
    """The item of IonBlockSequence (300A,03A6)."""
    return item(
        IsocenterToBlockTrayDistance=aperture.distance,
        BlockType="APERTURE",
        BlockDivergence="ABSENT",
        BlockMountingPosition=SOURCE_SIDE,
        BlockNumber=1,
        MaterialID="",
        BlockThickness=decimal(aperture.thickness),
        BlockNumberOfPoints=len(aperture.outline),
        BlockData=[decimal(round(value, _DIGITS)) for corner in aperture.outline for value in corner],
    )
