"""Limits where a CT is and how large it is, so that what is computed on it is bounded. Pure."""

from __future__ import annotations

from mqi_communicator.dicom.collector import Collector, tagged

FARTHEST = 5000.0
"""mm: no point of a CT or of a structure is farther from the origin on any axis."""

_SPACING = (0.01, 100.0)  # mm: finer than a CT of mice, and coarser than a scout

_Slice = tuple[tuple[float, float, float], tuple[float, float], tuple[int, int]]


def check_extent(place: _Slice, collector: Collector) -> None:
    """Collect a problem of a slice whose pixels have no possible size, or that is too large or too far away.

    `place`: position of the first pixel in mm; mm between rows and between columns; rows and columns.
    """
    first, spacing, shape = place
    low, high = _SPACING
    if not all(low <= mm <= high for mm in spacing):
        found = ", ".join(f"{mm:g}" for mm in spacing)
        collector.add("ct.spacing", found, tag=tagged("PixelSpacing"), expected=f"{low:g} to {high:g} mm")
    elif any(mm * count > FARTHEST for mm, count in zip(spacing, shape, strict=True)):
        found = " x ".join(f"{mm * count:g}" for mm, count in zip(spacing, shape, strict=True))
        collector.add("ct.extent", f"the slice is {found} mm large", expected=f"at most {FARTHEST:g} mm")
    if any(abs(mm) > FARTHEST for mm in first):
        found = ", ".join(f"{mm:g}" for mm in first)
        tag = tagged("ImagePositionPatient")
        collector.add("ct.extent", found, tag=tag, expected=f"within {FARTHEST:g} mm of the origin")
