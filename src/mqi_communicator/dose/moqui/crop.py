"""The rows and columns of a CT that moqui is sent: the body, a margin of air, and at least as many columns as rows.

moqui's air is nine times as dense as real air (0.0113 g/cm3 at -1000 HU), and there is none outside its grid: a proton
that starts there, or that leaves a part that was cut off, moves to the grid without a step (mqi_transport.hpp,
transport_particles_patient). Air around a patient that is not sent therefore takes no range. The couch and anything
else denser than air counts as body. All slices are sent.

10 mm of air are kept around the body: clothes, foam and the rim of a mask are as light as the air that is cut off, and
protons that enter the grid reach a voxel of air first. That air is equivalent to 0.11 mm of water.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.outgoing_ct import AIR
from mqi_communicator.dicom.records import CTVolume
from mqi_communicator.dose.rays import BeamPath

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 10.0  # mm of air that is kept around the body
_AIR_VOXEL, _AIR_MEAN = -900.0, -980.0  # HU: the densest voxel and the mean of a row or column of air
_LEVEL = 1e-3  # of the direction to the source along the rows: less is a beam from above or below


def body_part(ct: CTVolume) -> tuple[slice, slice]:
    """The CT's rows and columns with the body and its margin, whatever the plan; all of a CT of air.

    The margin of the rows is reduced where it would make more rows than columns.
    """
    (_, ny, nx), (dx, dy, _) = ct.grid.shape, ct.grid.spacing
    body_rows, body_columns = _body(ct)
    columns = _wider(body_columns, math.ceil(MARGIN / dx), nx)
    rows = body_rows
    for margin in range(math.ceil(MARGIN / dy), 0, -1):
        rows = _wider(body_rows, margin, ny)
        if _count(rows) <= _count(columns):
            return rows, columns
    return body_rows, columns


def sent_part(ct: CTVolume, beam_paths: Sequence[BeamPath]) -> tuple[slice, slice]:
    """The CT's rows and columns that are sent: `body_part`, and if it has more rows than columns, as many of the
    CT's own columns beside it as are needed and available, from the side where no beam enters if there is one.
    """
    rows, columns = body_part(ct)
    lack = max(0, _count(rows) - _count(columns))
    before, after = columns.start, ct.grid.shape[2] - columns.stop  # columns that are left
    # Direction to the source along the rows; positive: the beam enters behind the last column.
    sideways = [float(beam_path.axes[2][0]) for beam_path in beam_paths]
    enters_before, enters_after = any(s < -_LEVEL for s in sideways), any(s > _LEVEL for s in sideways)
    wanted = lack // 2 if enters_before == enters_after else lack * enters_before
    taken = min(after, max(wanted, lack - before))
    return rows, slice(columns.start - min(before, lack - taken), columns.stop + taken)


def _body(ct: CTVolume) -> tuple[slice, slice]:
    """From the first to the last row, and column, with more than air in any slice."""
    densest = np.full(ct.grid.shape[1:], -np.inf, dtype=np.float32)
    total = np.zeros(ct.grid.shape[1:])
    for pixels in ct.hu:  # slice by slice: a copy of a large CT would take as much memory again
        np.maximum(densest, pixels, out=densest)
        total += np.maximum(pixels, AIR)
    mean = total / ct.grid.shape[0]
    return _solid(densest, mean, 1), _solid(densest, mean, 0)


def _solid(densest: NDArray[np.float32], mean: NDArray[np.float64], across: int) -> slice:
    air = (densest.max(axis=across) <= _AIR_VOXEL) & (mean.mean(axis=across) <= _AIR_MEAN)
    found = np.flatnonzero(~air)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, len(air))


def _wider(part: slice, margin: int, count: int) -> slice:
    return slice(max(0, part.start - margin), min(count, part.stop + margin))


def _count(part: slice) -> int:
    return int(part.stop - part.start)
