"""What moqui would take wrongly of a CT and of where its protons start, and the grid that it is sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mqi_communicator.dicom.outgoing_ct import AIR
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_SQUARE = 1e-4  # relative: moqui takes the row spacing for the width of a pixel
_SOLID = -600.0  # HU; anything denser is no air


def sent_grid(grid: Grid) -> Grid:
    """The grid that moqui gets: it must have as many columns as rows, or it writes beyond its memory.

    DicomProblem for pixels that are not square: moqui takes one side for the other.
    """
    nz, ny, nx = grid.shape
    dx, dy, _ = grid.spacing
    if not math.isclose(dx, dy, rel_tol=_SQUARE):
        raise DicomProblem(
            f"the CT's pixels are {dx:g} mm wide and {dy:g} mm high; moqui takes one for the other",
            "export the CT with square pixels, or compute this case with another engine",
            code="dose.pixels",
        )
    return Grid((nz, ny, max(nx, ny)), grid.origin, grid.spacing)


def padded(hu: NDArray[np.int16], grid: Grid) -> NDArray[np.int16]:
    """The CT with columns of air behind its last one, as far as the grid reaches."""
    import numpy as np

    return np.pad(hu, ((0, 0), (0, 0), (0, grid.shape[2] - hu.shape[2])), constant_values=AIR)


def check_start(beam: Beam, ct: CTVolume, upstream: float, sad: tuple[float, float]) -> None:
    """Each spot starts in air, `upstream` mm before the isocentre. DicomProblem if one starts in the patient.

    moqui begins there whatever lies upstream of it.
    """
    import numpy as np

    x_axis, y_axis, z_axis = gantry_axes(beam.gantry_angle, beam.couch_angle)
    spots = np.concatenate([layer.spots[layer.weights > 0] for layer in beam.layers])
    u = spots[:, :1] * (1 - upstream / sad[0])
    v = spots[:, 1:] * (1 - upstream / sad[1])
    points = np.array(beam.isocenter) + u * x_axis + v * y_axis + upstream * z_axis
    index = np.rint((points - np.array(ct.grid.origin)) / np.array(ct.grid.spacing)).astype(int)[:, ::-1]
    inside = ((index >= 0) & (index < np.array(ct.grid.shape))).all(axis=1)
    at = tuple(index[inside].T)
    if inside.any() and float(ct.hu[at].max()) > _SOLID:
        where = f"{upstream:g} mm from the isocentre, in {ct.hu[at].max():g} HU"
        raise DicomProblem(
            f"beam {beam.number}: moqui would start protons {where}, expected air",
            "correct SnoutPosition (300A,030D) in the plan, or snout_position of the machine",
            code="dose.snout",
        )


def gantry_axes(gantry: float, couch: float) -> tuple[Doubles, Doubles, Doubles]:
    """The IEC gantry axes x, y and z (towards the source) as unit vectors in the DICOM patient system, HFS."""
    import numpy as np

    g, c = math.radians(gantry), math.radians(couch)
    turned = np.array([[math.cos(c), math.sin(c), 0.0], [-math.sin(c), math.cos(c), 0.0], [0.0, 0.0, 1.0]])
    to_dicom = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    tilted = np.array([[math.cos(g), 0.0, math.sin(g)], [0.0, 1.0, 0.0], [-math.sin(g), 0.0, math.cos(g)]])
    x_axis, y_axis, z_axis = (to_dicom @ turned @ tilted).T
    return x_axis, y_axis, z_axis
