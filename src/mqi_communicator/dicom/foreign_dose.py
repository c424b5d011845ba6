"""Reads what engines write as an RTDOSE: rows, columns, pixels and a scaling are present, much else is not.

Seen in forks of moqui: no NumberOfFrames, GridFrameOffsetVector or FrameIncrementPointer, no plan, no beam; the width
first in PixelSpacing; zero bytes in ImageOrientationPatient. So only the values are used: the grid is the one that the
engine was sent, and elements of the object that describe the grid must agree with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.reading import Opened, open_bytes
from mqi_communicator.dicom.records import Grid
from mqi_communicator.dicom.walk import PIXEL_DATA, Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_ELEMENTS = (
    "SOPClassUID",
    "ImagePositionPatient",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "PixelRepresentation",
    "DoseUnits",
    "DoseGridScaling",
)
_NEAR = 0.01  # mm; forks print six decimals of single precision
_STEPS = 1000  # between zero and the maximum, at least: coarser integers are no dose
_ADVICE = "request another format with engine.format (mhd and raw contain the dose as it was computed)"


def read_foreign_dose(name: str, data: bytes, grid: Grid) -> NDArray[np.float64]:
    """Read the values [z, y, x], z ascending, in the engine's unit, on this grid.

    DicomProblem if it is no dose, is truncated, has another number of voxels, contradicts the grid, or is too coarse.
    """
    with open_bytes(name, data, Limits()) as opened:
        if opened is None or opened.sop_class_uid not in (_RT_DOSE, ""):
            raise DicomProblem(f"{name} is not an RT Dose", _ADVICE, "dose.not_a_dose")
        spans = opened.spans()
        if PIXEL_DATA not in spans:
            raise DicomProblem(f"{name} has no pixels", _ADVICE, "dose.no_grid")
        ds, collector = opened.parse(spans, _ELEMENTS), Collector(opened.name)
        _refuse_contradictions(ds, grid, collector)
        bits = _bits(ds, collector)
        scaling = collector.number(ds, "DoseGridScaling")
        if scaling <= 0:
            raise collector.problem(
                f"{tagged('DoseGridScaling')} is {scaling:g}, expected more than 0", "dose.scaling", _ADVICE
            )
        nz, ny, nx = grid.shape
        stored = np.frombuffer(_pixels(opened, nx * ny * nz * bits // 8), dtype=f"<u{bits // 8}").reshape(grid.shape)
        if 0 < int(stored.max()) < _STEPS:
            raise collector.problem(
                f"the dose is stored in {int(stored.max())} steps, expected at least {_STEPS}",
                "dose.coarse",
                _ADVICE,
            )
        return stored * np.float64(scaling)


def _pixels(opened: Opened, length: int) -> bytes:
    return opened.pixels(opened.spans(), length)


def _refuse_contradictions(ds: Dataset, grid: Grid, collector: Collector) -> None:
    """Refuse a grid that differs from the one sent. Missing or unreadable elements are ignored."""
    rows, columns = collector.whole(ds, "Rows"), collector.whole(ds, "Columns")
    if (rows, columns) != grid.shape[1:]:
        raise collector.problem(
            f"{rows} x {columns} pixels, expected {grid.shape[1]} x {grid.shape[2]}", "dose.grid", _ADVICE
        )
    spacing, origin = _floats(ds, "PixelSpacing", 2), _floats(ds, "ImagePositionPatient", 3)
    if spacing and any(abs(a - b) > _NEAR for a, b in zip(sorted(spacing), sorted(grid.spacing[:2]), strict=True)):
        raise collector.problem(
            f"{tagged('PixelSpacing')} is {spacing}, expected {grid.spacing[:2]}", "dose.grid", _ADVICE
        )
    if origin and any(
        min(abs(a - b), abs(a - b + step / 2)) > _NEAR
        for a, b, step in zip(origin, grid.origin, grid.spacing, strict=True)
    ):
        raise collector.problem(
            f"{tagged('ImagePositionPatient')} is {origin}, expected {grid.origin} or half a voxel less",
            "dose.grid",
            _ADVICE,
        )


def _floats(ds: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the numbers, or () if they are missing or unreadable."""
    try:
        values = tuple(float(value) for value in ds.get(keyword) or ())
    except (TypeError, ValueError):
        return ()
    return values if len(values) == count else ()


def _bits(ds: Dataset, collector: Collector) -> int:
    bits = collector.whole(ds, "BitsAllocated")
    if bits not in (16, 32) or int(ds.get("PixelRepresentation") or 0) != 0:
        raise collector.problem("the pixels are not 16 or 32 bit unsigned (0028,0100)", "dose.pixels", _ADVICE)
    return bits
