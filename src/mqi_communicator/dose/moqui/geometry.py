"""What moqui would misread of a CT and of the protons' start, and the CT that it is sent.

moqui needs at least as many columns as rows, or it writes beyond its memory. Its air is nine times as dense as real air
(0.0113 g/cm3 at -1000 HU), so only the body is sent (see crop). Columns of air that the CT does not have are
added only if its own do not suffice, and only where no beam passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.outgoing_ct import AIR
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, Grid
from mqi_communicator.dose.moqui.crop import body_part, sent_part
from mqi_communicator.dose.rays import MARGIN, BeamPath, beam_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_SQUARE = 1e-4  # relative: moqui takes the row spacing for the width of a pixel
SOLID = -600.0  # HU; anything denser is not air
_SAMPLE = 10.0  # mm between the points at which added columns are sampled


@dataclass(frozen=True, slots=True)
class SentCT:
    """The part of a CT that is sent, and its position among added columns of air."""

    grid: Grid  # that is sent
    rows: slice  # of the CT
    columns: slice  # of the CT
    before: int  # columns of air that were added before the CT's own

    @property
    def own(self) -> slice:
        """The CT's columns in the sent grid."""
        return slice(self.before, self.before + self.columns.stop - self.columns.start)

    def hu(self, whole: NDArray[np.int16]) -> NDArray[np.int16]:
        """The CT's voxels [z, y, x] as they are sent."""
        sent = np.full(self.grid.shape, AIR, dtype=np.int16)
        sent[:, :, self.own] = whole[:, self.rows, self.columns]
        return sent

    def to_ct_grid(self, values: Doubles, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        """A dose on the sent grid as a dose on the CT's, zero in the rows and columns that were not sent."""
        dose = np.zeros(shape, dtype=np.float32)
        dose[:, self.rows, self.columns] = values[:, :, self.own]
        return dose

    def part_of(self, ct: CTVolume) -> CTVolume:
        """The part of the CT that is sent, without columns that were added."""
        return replace(ct, grid=_part(ct.grid, self.rows, self.columns), hu=ct.hu[:, self.rows, self.columns])


def sent_shape(ct: CTVolume) -> tuple[int, int, int]:
    """(slices, rows, columns) of the grid that is sent for this CT, whatever the plan."""
    rows, columns = body_part(ct)
    height = rows.stop - rows.start
    return ct.grid.shape[0], height, max(columns.stop - columns.start, height)


def sent_ct(ct: CTVolume, beam_paths: Sequence[tuple[BeamPath, float]]) -> SentCT:
    """The part of this CT that is sent. `beam_paths`: each beam's rays, and the height in mm above the isocentre where
    they begin.

    DicomProblem for pixels that are not square (moqui mistakes width for height), and for a body with more rows than
    the CT has columns if air cannot be added without changing a beam's path.
    """
    dx, dy, _ = ct.grid.spacing
    if not math.isclose(dx, dy, rel_tol=_SQUARE):
        raise DicomProblem(
            f"the CT's pixels are {dx:g} mm wide and {dy:g} mm high; moqui mistakes one for the other",
            "export the CT with square pixels, or compute this case with another engine",
            code="dose.pixels",
        )
    rows, columns = sent_part(ct, [beam_path for beam_path, _ in beam_paths])
    part = _part(ct.grid, rows, columns)
    (nz, height, width), (x, y, z) = part.shape, part.origin
    added = max(0, height - width)
    whole = (nz, height, width + added)
    behind = Grid((nz, height, added), (x + width * dx, y, z), part.spacing)
    ahead = Grid((nz, height, added), (x - added * dx, y, z), part.spacing)
    if not (hit := _passing(behind, beam_paths)):
        return SentCT(replace(part, shape=whole), rows, columns, 0)
    if not _passing(ahead, beam_paths):
        return SentCT(replace(ahead, shape=whole), rows, columns, added)
    raise DicomProblem(
        f"the CT has {ct.grid.shape[1]} rows and {width} columns, {height} rows without those of air at "
        f"its edges; moqui needs at least as many columns as rows, and beam {hit} passes where {added} columns of air "
        "would have to be added, which reduce its range in moqui",
        "export the CT with a field of view that is at least as wide as it is high, or compute this case with another "
        "engine (MCsquare)",
        code="dose.rows",
    )


def _part(grid: Grid, rows: slice, columns: slice) -> Grid:
    (x, y, z), (dx, dy, _) = grid.origin, grid.spacing
    shape = (grid.shape[0], rows.stop - rows.start, columns.stop - columns.start)
    return Grid(shape, (x + columns.start * dx, y + rows.start * dy, z), grid.spacing)


def _passing(added: Grid, beam_paths: Sequence[tuple[BeamPath, float]]) -> int:
    """The number of a beam that passes these columns anywhere below its start; 0: none."""
    if 0 in added.shape:
        return 0
    sampled = [
        np.linspace(axis[0] - step / 2, axis[-1] + step / 2, math.ceil(len(axis) * step / _SAMPLE) + 1)
        for axis, step in zip(added.axes()[::-1], added.spacing, strict=True)
    ]
    points = np.stack(np.meshgrid(*sampled, indexing="ij"), axis=-1).reshape(-1, 3)
    reach = MARGIN + _SAMPLE
    for beam_path, start in beam_paths:
        seen = beam_path.project(points)
        low, high = beam_path.spots.min(axis=0) - reach, beam_path.spots.max(axis=0) + reach
        inside = ((seen[:, :2] >= low) & (seen[:, :2] <= high)).all(axis=1)
        if (inside & (seen[:, 2] <= start + _SAMPLE)).any():
            return beam_path.number
    return 0


def check_start(beam: Beam, ct: CTVolume, upstream: float, sad: tuple[float, float]) -> None:
    """Verify that each spot starts in air, `upstream` mm before the isocentre. DicomProblem if one starts in the
    patient.

    moqui ignores whatever is upstream of the start.
    """
    x_axis, y_axis, z_axis = beam_axes(beam)
    spots = np.concatenate([layer.spots[layer.weights > 0] for layer in beam.layers])
    u = spots[:, :1] * (1 - upstream / sad[0])
    v = spots[:, 1:] * (1 - upstream / sad[1])
    points = np.array(beam.isocenter) + u * x_axis + v * y_axis + upstream * z_axis
    index = np.rint((points - np.array(ct.grid.origin)) / np.array(ct.grid.spacing)).astype(int)[:, ::-1]
    inside = ((index >= 0) & (index < np.array(ct.grid.shape))).all(axis=1)
    at = tuple(index[inside].T)
    if inside.any() and float(ct.hu[at].max()) > SOLID:
        where = f"{upstream:g} mm from the isocentre, in {ct.hu[at].max():g} HU"
        raise DicomProblem(
            f"beam {beam.number}: moqui would start protons {where}, expected air",
            "correct SnoutPosition (300A,030D) in the plan, or snout_position of the machine",
            code="dose.snout",
        )
