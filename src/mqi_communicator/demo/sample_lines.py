"""Changes to the plan of a correct case: line scanning, as it is computed and as it is refused.

Each spot becomes a line across it along x, as long as spots are apart. Lines of a row are scanned one after the other,
rows in alternating directions, with the beam off between rows and across gaps.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.sample_case import Draft

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_APART = 0.2  # mm: ends that are nearer are one turning point; positions are rounded to 0.1 mm
_SPOT_TAGS = ("NumberOfScanSpotPositions", "ScanSpotPositionMap", "ScanSpotMetersetWeights", "ScanningSpotSize")
_LineEnd = tuple[float, float, float]  # x, y (mm) of its end, and the weight on it


def line_scan(draft: Draft) -> None:
    """ScanMode LINE in the standard elements."""
    _to_lines(draft)
    _mode(draft, "LINE")


def linear_scan(draft: Draft) -> None:
    """MODULATED_SPEC LINEAR, the standard's own line scanning."""
    _to_lines(draft)
    _mode(draft, "MODULATED_SPEC", "LINEAR")


def line_private(draft: Draft) -> None:
    """As Sumitomo writes it: implicit VR, the private creator IMPAC, no standard elements of spots."""
    line_scan(draft)
    for point in _points(draft):
        _move(point, "IMPAC")
    draft.writer = replace(draft.writer, implicit=True)


def line_creator(draft: Draft) -> None:
    """The same elements of another private creator."""
    line_scan(draft)
    for point in _points(draft):
        _move(point, "MQI SAMPLE")


def line_first(draft: Draft) -> None:
    """LINE over the spots as they are: the first weight of each layer is not 0."""
    _mode(draft, "LINE")


def leaping_scan(draft: Draft) -> None:
    """MODULATED_SPEC LEAPING."""
    _mode(draft, "MODULATED_SPEC", "LEAPING")


def _mode(draft: Draft, mode: str, kind: str = "") -> None:
    for beam in draft.object("RP.dcm").IonBeamSequence:
        beam.ScanMode = mode
        if kind:
            beam.ModulatedScanModeType = kind
        else:
            del beam.ModulatedScanModeType


def _points(draft: Draft) -> list[Dataset]:
    return [point for beam in draft.object("RP.dcm").IonBeamSequence for point in beam.IonControlPointSequence]


def _to_lines(draft: Draft) -> None:
    """Replace the spots of each pair of control points; the second has the same positions without weight."""
    points = _points(draft)
    for first, second in zip(points[::2], points[1::2], strict=True):
        spots = np.reshape(first.ScanSpotPositionMap, (-1, 2)).astype(float)
        ends = _serpentine(spots, np.atleast_1d(first.ScanSpotMetersetWeights).astype(float), draft.size.spot_spacing)
        for point in (first, second):
            point.NumberOfScanSpotPositions = len(ends)
            point.ScanSpotPositionMap = [value for x, y, _ in ends for value in (x, y)]
        first.ScanSpotMetersetWeights = [weight for _, _, weight in ends]
        second.ScanSpotMetersetWeights = [0.0] * len(ends)


def _serpentine(spots: NDArray[np.float64], weights: NDArray[np.float64], length: float) -> list[_LineEnd]:
    ends: list[_LineEnd] = []
    rows = sorted(zip(spots[:, 1].tolist(), spots[:, 0].tolist(), weights.tolist(), strict=True))
    for number, (y, row) in enumerate(groupby(rows, key=lambda spot: spot[0])):
        ahead = length / 2 if number % 2 == 0 else -length / 2
        for _, x, weight in sorted(row, reverse=bool(number % 2)):
            start = round(x - ahead, 2)
            if not (ends and ends[-1][1] == y and abs(ends[-1][0] - start) < _APART):
                ends.append((start, y, 0.0))
            ends.append((round(x + ahead, 2), y, weight))
    return ends


def _move(point: Dataset, creator: str) -> None:
    """Move the spots into a private block of line scanning."""
    block = point.private_block(0x300B, creator, create=True)
    block.add_new(0x90, "SH", "DEMO")
    block.add_new(0x92, "IS", str(point.NumberOfScanSpotPositions))
    for offset, keyword in ((0x94, _SPOT_TAGS[1]), (0x96, _SPOT_TAGS[2]), (0x98, _SPOT_TAGS[3])):
        block.add_new(offset, "OB", np.asarray(point[keyword].value, dtype="<f4").tobytes())
    block.add_new(0x9A, "IS", "2")
    for keyword in (*_SPOT_TAGS, "ScanSpotTuneID", "NumberOfPaintings"):
        delattr(point, keyword)
