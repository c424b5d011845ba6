"""Range shifters as MCsquare reads them. Pure.

Seen with MCsquare of OpenTPS 3.0.0: a field has one range shifter, named by its ID in the beam data library. A control
point that lacks a line, or has it in another form, is computed open; so is one that has no thickness. Of several range
shifters in a field, the last one counts. So a beam is sent as one field for each range shifter in it and one for its
open layers: the head of the log then states for every field what was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mqi_communicator.dicom.records import Beam, Layer, ShifterSetting
from mqi_communicator.dose.mcsquare.numbers import number
from mqi_communicator.dose.range_shifter import RangeShifter

_BLOCK = "Range Shifter parameters"


@dataclass(frozen=True, slots=True)
class Field:
    """The layers of a beam with one range shifter, or without any."""

    index: int  # in the plan, from 0
    shifter: ShifterSetting | None
    layers: tuple[Layer, ...]

    @property
    def engine_id(self) -> str:
        """The name of its range shifter in what is sent: no text of the plan."""
        return f"RS{self.index}"


@dataclass(frozen=True, slots=True)
class SentShifter:
    """The range shifter of one field as it is sent. Lengths in mm."""

    field: int
    engine_id: str
    material: int
    density: float  # g/cm3
    distance: float
    wet: float


def fields_of(beam: Beam) -> tuple[Field, ...]:
    """The fields of a prepared beam, in order of their first layer. ValueError for two range shifters in one layer."""
    found: dict[ShifterSetting | None, list[Layer]] = {}
    for layer in beam.layers:
        if len(layer.shifters) > 1:
            raise ValueError("a layer has several range shifters")
        found.setdefault(layer.shifters[0] if layer.shifters else None, []).append(layer)
    return tuple(Field(index, *item) for index, item in enumerate((one, tuple(of)) for one, of in found.items()))


def sent_shifters(beam: Beam, declared: Mapping[str, RangeShifter]) -> tuple[SentShifter, ...]:
    """What is sent of a prepared beam's range shifters. KeyError for one that is not declared."""
    return tuple(
        SentShifter(
            one.index,
            one.engine_id,
            declared[one.shifter.id].material,
            declared[one.shifter.id].density,
            one.shifter.distance or 0.0,
            one.shifter.wet or 0.0,
        )
        for one in fields_of(beam)
        if one.shifter is not None
    )


def with_shifters(text: bytes, shifters: Sequence[SentShifter]) -> bytes:
    """A beam data library with these range shifters in place of its own; unchanged without any.

    Each needs its own heading with a blank line before it, and the last a blank line behind it: else the engine knows
    only one of them, or stops.
    """
    if not shifters:
        return text
    own = (_BLOCK.encode(), b"RS_")
    kept = [line for line in text.rstrip(b"\n").split(b"\n") if not line.lstrip().startswith(own)]
    blocks = [
        f"\n{_BLOCK}\nRS_ID = {one.engine_id}\nRS_type = binary\nRS_material = {one.material}\n"
        f"RS_density = {number(one.density)}\nRS_WET = {number(one.wet)}\n"
        for one in shifters
    ]
    return b"\n".join(kept) + b"\n" + "".join(blocks).encode("ascii") + b"\n"


def field_lines(field: Field) -> list[str]:
    """The lines of a field that name its range shifter, before its number of control points."""
    return ["###RangeShifterID", field.engine_id, "###RangeShifterType", "binary"] if field.shifter else []


def point_lines(shifter: ShifterSetting | None) -> list[str]:
    """The lines of every control point of a field, before its spots: nothing is inherited."""
    if shifter is None:
        return []
    return [
        *("####RangeShifterSetting", "IN"),
        *("####IsocenterToRangeShifterDistance", number(shifter.distance or 0.0)),
        *("####RangeShifterWaterEquivalentThickness", number(shifter.wet or 0.0)),
    ]
