"""Reads the apertures of a beam (IonBlockSequence (300A,03A6), PS3.3 C.8.8.25), and collects contradictions.

Each item has one outline, BlockData (300A,0106), projected to the isocentre plane. Items with the same tray, mounting,
thickness and material are openings of one aperture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.records import MOUNTINGS, Aperture

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    Outline = NDArray[np.float64]

APERTURE, SHIELDING = "APERTURE", "SHIELDING"  # BlockType: what is outside of the outline is covered, or inside of it
_CODE = "beam.aperture"
_FEWEST = 3  # corners
_SMALLEST = 0.01  # mm2
_SAME = 0.01  # degrees: below the positioning accuracy of any machine
_Key = tuple[float, str, float, str]


def read_apertures(item: Dataset, points: Sequence[Dataset], collector: Collector) -> tuple[Aperture, ...]:
    """Read the blocks of type APERTURE that have no contradiction; there is a problem for each of the others."""
    blocks = list(item.get("IonBlockSequence") or ())
    count = int(item.get("NumberOfBlocks") or 0)
    if count != len(blocks):
        collector.add(
            _CODE, f"{len(blocks)} items in {tagged('IonBlockSequence')}, {tagged('NumberOfBlocks')} is {count}"
        )
    found: dict[_Key, list[Outline]] = {}
    for index, block in enumerate(blocks, start=1):
        read = _block(block, collector.of_part(f"block {index}"))
        if read is not None:
            found.setdefault(read[0], []).append(read[1])
    if blocks:
        _check_angle(points, collector)
    return tuple(Aperture(tuple(outlines), *key) for key, outlines in found.items())


def limiting_angle(points: Sequence[Dataset]) -> float:
    """BeamLimitingDeviceAngle of the first control point, degrees; 0 where the plan has none."""
    value = points[0].get("BeamLimitingDeviceAngle") if points else None
    return 0.0 if value is None or value == "" else float(value)


def kinds_of_blocks(item: Dataset) -> tuple[int, int]:
    """How many blocks are apertures, or counted without an item; and how many shield what is inside their outline."""
    blocks = list(item.get("IonBlockSequence") or ())
    shields = sum(text(block, "BlockType") == SHIELDING for block in blocks)
    return max(len(blocks), int(item.get("NumberOfBlocks") or 0)) - shields, shields


def _block(block: Dataset, collector: Collector) -> tuple[_Key, Outline] | None:
    """What distinguishes an aperture from others, and one outline; None for a contradiction, or another type."""
    before = len(collector.problems)
    kind, mounting = text(block, "BlockType"), text(block, "BlockMountingPosition")
    if kind not in (APERTURE, SHIELDING):
        collector.add(_CODE, printable(kind), tag=tagged("BlockType"), expected=f"{APERTURE} or {SHIELDING}")
    if mounting not in MOUNTINGS:
        tag = tagged("BlockMountingPosition")
        collector.add(_CODE, printable(mounting), tag=tag, expected=" or ".join(MOUNTINGS))
    distance = collector.measured(block, "IsocenterToBlockTrayDistance")
    thickness = collector.measured(block, "BlockThickness")
    if thickness <= 0:
        collector.add(_CODE, f"{thickness:g}", tag=tagged("BlockThickness"), expected="more than 0 mm")
    outline = _outline(block, collector)
    if kind != APERTURE or outline is None or len(collector.problems) > before:
        return None
    return (distance, mounting, thickness, text(block, "MaterialID")), outline


def _outline(block: Dataset, collector: Collector) -> Outline | None:
    """The corners (n, 2), without a last one that repeats the first; None, and a problem, if they are contradictory."""
    value = block.get("BlockData")
    data = np.atleast_1d(np.asarray(() if value is None else value, dtype=np.float64))
    count, tag = int(block.get("BlockNumberOfPoints") or 0), tagged("BlockData")
    if data.size != 2 * count:
        found = f"{tagged('BlockNumberOfPoints')} is {count}, but {tag} has {data.size} numbers"
        collector.add(_CODE, found, expected="two for each point")
        return None
    if not np.isfinite(data).all():
        collector.add(_CODE, f"a number of {tag} is not finite")
        return None
    corners = data.reshape(-1, 2)
    if len(corners) > 1 and (corners[0] == corners[-1]).all():
        corners = corners[:-1]
    if len(corners) < _FEWEST or area_of(corners) < _SMALLEST:
        found = f"{tag} encloses no area: {len(corners)} distinct corners"
        collector.add(_CODE, found, expected="the corners of an opening in mm")
        return None
    return corners


def area_of(corners: Outline) -> float:
    """The area in mm2 that corners (n, 2) enclose."""
    x, y = corners.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _check_angle(points: Sequence[Dataset], collector: Collector) -> None:
    """An outline is in the system of the beam limiting device: it must be there, and the same in all control points."""
    if not points:
        return
    first = collector.measured(points[0], "BeamLimitingDeviceAngle")
    for index, point in enumerate(points[1:], start=1):
        value = point.get("BeamLimitingDeviceAngle")
        if value is None or value == "" or math.isnan(first):
            continue
        if abs((float(value) - first + 180) % 360 - 180) > _SAME:
            found = f"changes from {first:g} to {float(value):g} degrees at control point {index}"
            expected = "one angle in a beam with an aperture"
            collector.add(_CODE, f"{tagged('BeamLimitingDeviceAngle')} {found}", expected=expected)
            return
