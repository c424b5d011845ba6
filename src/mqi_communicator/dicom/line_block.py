"""The private elements of line scanning (Sumitomo): group 300B, creator IMPAC, or none.

| element | what |
|---|---|
| (300B,xx92) | number of positions |
| (300B,xx94) | x and y of each position, mm, float32 little endian |
| (300B,xx96) | weight of each position, float32 little endian |
| (300B,xx98) | size of the spot, FWHM x and y, mm, float32 little endian |
| (300B,xx9A) | number of paintings |

xx is the number of the block that the creator has reserved (PS3.5 7.8.1). Other manufacturers use the group
differently, so elements are read by creator. In implicit VR their values may arrive as bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

COUNT, POSITIONS, WEIGHTS, SIZE, PAINTINGS = 0x92, 0x94, 0x96, 0x98, 0x9A
_GROUP = 0x300B
_CREATOR = "IMPAC"
_BLOCKS = range(0x10, 0x100)


def line_blocks(point: Dataset) -> tuple[int, ...]:
    """The blocks of a control point with weights of line scanning: those of IMPAC, else those without a creator."""
    creators = _creators(point)
    named = tuple(block for block, creator in creators.items() if creator == _CREATOR)
    return named or tuple(block for block, creator in creators.items() if not creator)


def other_creators(point: Dataset) -> tuple[str, ...]:
    """The creators of the other blocks that have an element xx96, which may be anything."""
    return tuple(sorted({creator for creator in _creators(point).values() if creator not in ("", _CREATOR)}))


def value_of(point: Dataset, block: int, element: int) -> object:
    """The value of an element of a block; None if there is none."""
    tag = (_GROUP, block << 8 | element)
    return point[tag].value if tag in point else None


def name_of(block: int, element: int) -> str:
    """The element for messages: "(300B,1096)"."""
    return f"({_GROUP:04X},{block << 8 | element:04X})"


def has_private_spots(point: Dataset) -> bool:
    """Return whether a control point has its spots only in the private elements."""
    return point.get("ScanSpotMetersetWeights") is None and bool(line_blocks(point))


def _creators(point: Dataset) -> dict[int, str]:
    """The creator ("" if there is none) of each block with an element xx96."""
    elements = [tag.element for tag in point.keys() if tag.group == _GROUP]  # noqa: SIM118 - elements stay unparsed
    return {
        element >> 8: _text(value)
        for element in elements
        if element & 0xFF == WEIGHTS and element >> 8 in _BLOCKS
        for value in [point[_GROUP, element >> 8].value if element >> 8 in elements else None]
    }


def _text(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0")
