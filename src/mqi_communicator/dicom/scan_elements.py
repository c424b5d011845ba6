"""Reads the positions and weights of one control point, from the standard elements or those of line scanning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged
from mqi_communicator.dicom.line_block import (
    COUNT,
    PAINTINGS,
    POSITIONS,
    SIZE,
    WEIGHTS,
    line_blocks,
    name_of,
    other_creators,
    value_of,
)
from mqi_communicator.dicom.problem import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    Doubles = NDArray[np.float64]

_FLOAT = 4  # bytes
_NO_SPOTS = "the layer has no spots: ScanSpotPositionMap (300A,0394) or ScanSpotMetersetWeights (300A,0396) is missing"
_NO_LINES = f"{_NO_SPOTS}, and so are (300B,xx94) and (300B,xx96) of the private creator IMPAC"
_VENDOR = "Ask the vendor of the planning system how it writes line scanning."


@dataclass(frozen=True, slots=True)
class ScanElements:
    """The positions and weights of one control point as written."""

    coordinates: Doubles  # mm, x and y in turn; unchecked
    weights: Doubles  # finite and not negative; empty if some were not
    count: int | None  # number of positions that the control point declares
    names: tuple[str, str, str]  # of these three elements, for messages
    present: bool  # whether the element of the weights is there
    missing: str  # what to report of a layer that lacks them

    def positions(self, collector: Collector) -> Doubles:
        """Return them as (n, 2); no rows, and a problem, if they do not match the weights."""
        count = self.weights.size if self.count is None else self.count
        if not self.coordinates.size:
            collector.add("beam.no_spots", self.missing)
        elif not self.coordinates.size == 2 * self.weights.size == 2 * count:
            collector.add(
                "beam.spot_count",
                f"{self.names[2]} is {count}, but there are {self.weights.size} weights and "
                f"{self.coordinates.size} coordinates (two per spot)",
            )
        elif not np.isfinite(self.coordinates).all():
            collector.add("beam.spots", f"a spot position {_tag(self.names[0])} is not a finite number")
        else:
            return self.coordinates.reshape(-1, 2)
        return np.empty((0, 2))


def read_elements(point: Dataset, collector: Collector, *, private: bool) -> ScanElements:
    """Read one control point. `private`: of a beam whose spots may be in the private elements of line scanning.

    Where both are there, they must agree.
    """
    standard = _standard(point, collector, _NO_LINES if private else _NO_SPOTS)
    blocks = line_blocks(point) if private else ()
    if len(blocks) > 1:
        names = " and ".join(name_of(block, WEIGHTS) for block in blocks)
        collector.add("beam.line_spots", f"weights of line scanning are in {names}", advice=_VENDOR)
    if not blocks:
        return _without(standard, point) if private else standard
    own = _private(point, blocks[0], collector)
    if standard.present and not _same(standard, own):
        collector.add(
            "beam.line_spots",
            f"positions or weights in {own.names[0]} and {own.names[1]} differ from those in "
            f"{standard.names[0]} and {standard.names[1]}",
            advice=_VENDOR,
        )
    return own


def read_paintings(point: Dataset, *, private: bool) -> int:
    """Return NumberOfPaintings (300A,039A), or that of line scanning; 1 if neither is there."""
    value = point.get("NumberOfPaintings")
    for block in line_blocks(point) if private else ():
        own = value_of(point, block, PAINTINGS)
        value = value if own is None else own
    return _whole(value) or 1


def read_size(point: Dataset, *, private: bool = False) -> tuple[float, float] | None:
    """Return ScanningSpotSize (300A,0398), or that of line scanning: FWHM x, y in mm; None without two above 0."""
    value = point.get("ScanningSpotSize")
    for block in line_blocks(point) if private else ():
        own = value_of(point, block, SIZE)
        value = value if own is None else own
    values = floats(value)
    if values.size != 2 or not (np.isfinite(values).all() and (values > 0).all()):  # noqa: PLR2004 - x and y
        return None
    return float(values[0]), float(values[1])


def _standard(point: Dataset, collector: Collector, missing: str) -> ScanElements:
    keywords = ("ScanSpotPositionMap", "ScanSpotMetersetWeights", "NumberOfScanSpotPositions")
    coordinates, weights, count = (point.get(keyword) for keyword in keywords)
    names = (tagged(keywords[0]), tagged(keywords[1]), tagged(keywords[2]))
    return _elements(coordinates, weights, count, names, missing, collector)


def _private(point: Dataset, block: int, collector: Collector) -> ScanElements:
    coordinates, weights, count = (value_of(point, block, element) for element in (POSITIONS, WEIGHTS, COUNT))
    names = (name_of(block, POSITIONS), name_of(block, WEIGHTS), name_of(block, COUNT))
    missing = f"the layer has no positions: {names[0]} is missing"
    return _elements(coordinates, weights, count, names, missing, collector)


def _elements(
    coordinates: object, weights: object, count: object, names: tuple[str, str, str], missing: str, collector: Collector
) -> ScanElements:
    """Check the weights, and that values in bytes are whole numbers of float32."""
    for value, name in zip((coordinates, weights), names, strict=False):
        if isinstance(value, bytes) and len(value) % _FLOAT:
            collector.add("beam.spots", f"{name} has {len(value)} bytes", expected="4 for each number")
    mine = floats(weights)
    wrong = mine[~np.isfinite(mine) | (mine < 0)]
    if wrong.size:
        collector.add("beam.weights", f"a spot weight {_tag(names[1])} is {wrong[0]:g}", expected="0 or more")
        mine = np.empty(0)
    return ScanElements(floats(coordinates), mine, _whole(count), names, weights is not None, missing)


def _without(standard: ScanElements, point: Dataset) -> ScanElements:
    """Name the creators of a block that is not read, in case it is what the layer lacks."""
    others = ", ".join(map(printable, other_creators(point)))
    missing = f"{standard.missing}; such elements of the creator {others} are not read" if others else standard.missing
    return ScanElements(
        standard.coordinates, standard.weights, standard.count, standard.names, standard.present, missing
    )


def _same(standard: ScanElements, own: ScanElements) -> bool:
    pairs = ((standard.coordinates, own.coordinates), (standard.weights, own.weights))
    return all(np.array_equal(one, other) for one, other in pairs)


def _tag(name: str) -> str:
    return name[name.index("(") :]


def floats(value: object) -> Doubles:
    """Return the numbers of an FL element. UN, for private elements in implicit VR and in explicit VR above 65 534
    bytes (PS3.5 6.2.2), is read as bytes."""
    if isinstance(value, bytes):
        return np.frombuffer(value[: len(value) // _FLOAT * _FLOAT], dtype="<f4").astype(np.float64)
    return np.atleast_1d(np.asarray(() if value is None else value, dtype=np.float64))


def _whole(value: object) -> int | None:
    """Return the number of an IS element; None if it is missing or empty."""
    text = value.decode("ascii") if isinstance(value, bytes) else str("" if value is None else value)
    text = text.strip(" \0")
    return int(text) if text else None
