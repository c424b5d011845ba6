"""Between the DICOM patient system (HFS) and the engine's own frame.

Determined with off-axis spots, and verified by tests with the engine itself:

- The engine's frame begins at the outer corner of the CT, not at a voxel centre. x and z run as in DICOM, y is
  reversed (up, towards the source at gantry 0). The Offset of its images has no effect on transport.
- Its arrays are stored with x and y reversed from DICOM order.
- Gantry and couch angles and the spots' x and y are those of IEC 61217, as in DICOM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def isocenter(grid: Grid, at: tuple[float, float, float]) -> tuple[float, float, float]:
    """A point of the patient system (x, y, z in mm) in the engine's frame, in mm."""
    (x0, y0, z0), (dx, dy, dz) = grid.origin, grid.spacing
    y_end = y0 + (grid.shape[1] - 0.5) * dy
    return at[0] - (x0 - dx / 2), y_end - at[1], at[2] - (z0 - dz / 2)


def offset(grid: Grid) -> tuple[float, float, float]:
    """The Offset (mm) written into the engine's images: the engine repeats it in its output, which identifies the
    grid."""
    (x0, y0, z0), (dx, dy, dz) = grid.origin, grid.spacing
    return x0 - dx / 2, -(y0 + (grid.shape[1] - 0.5) * dy), z0 - dz / 2


def turned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values [z, y, x] in DICOM order to the engine's order, and back."""
    return values[:, ::-1, ::-1]
