"""Where a structure is outside of a CT. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Grid
from mqi_communicator.dicom.structures import Roi
from mqi_communicator.dose.contoured import Contoured

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEP = 3.0  # mm between samples


def points_beyond(roi: Roi, grid: Grid) -> NDArray[np.float64]:
    """(n, 3): points x, y, z in mm of the structure outside of all voxels of the CT, about 3 mm apart."""
    if not roi.contours:
        return np.empty((0, 3))
    corners = np.concatenate([corners for _, corners in roi.contours])
    levels = [z for z, _ in roi.contours]
    low = np.array([*corners.min(axis=0), min(levels)])
    high = np.array([*corners.max(axis=0), max(levels)])
    spacing, origin = np.asarray(grid.spacing), np.asarray(grid.origin)
    first, last = origin - spacing / 2, origin + (np.asarray(grid.shape[::-1]) - 0.5) * spacing  # edges of the CT
    if (low >= first).all() and (high <= last).all():
        return np.empty((0, 3))
    step = np.maximum(spacing, (_STEP, _STEP, 0.0))
    before = np.ceil(np.maximum(first - low, 0) / step).astype(int)
    start = first + step / 2 - before * step
    count = [math.ceil(n) for n in (np.maximum(high, last) - start) / step + 0.5]
    wider = Grid((count[2], count[1], count[0]), tuple(start.tolist()), tuple(step.tolist()))
    shape = Contoured(roi.contours, wider)
    found = []
    for index in shape.slices:
        rows, columns = np.nonzero(shape.inside(index))
        points = start + np.stack([columns, rows, np.full(len(rows), index)], axis=1) * step
        found.append(points[((points < first) | (points > last)).any(axis=1)])
    return np.concatenate(found) if found else np.empty((0, 3))
