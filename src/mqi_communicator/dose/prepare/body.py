"""What is outside the body where a planning system computes nothing there. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, label

from mqi_communicator.dicom.records import Grid
from mqi_communicator.dicom.structures import BODY, BOLUS, EXTERNAL, Roi
from mqi_communicator.dose.contoured import Contoured
from mqi_communicator.dose.outside import AIR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_SKIN = 3.0  # mm: voxels along the contour of a hole are partly body


class Body:
    """The union of EXTERNAL, SUPPORT, FIXATION and the boli that beams name, on a CT's grid."""

    def __init__(self, rois: Sequence[Roi], boli: frozenset[int], grid: Grid) -> None:
        """`boli`: ROINumbers."""
        self.parts = [roi for roi in rois if roi.number in boli or (roi.kind in BODY and roi.kind != BOLUS)]
        self._external = [Contoured(roi.contours, grid) for roi in self.parts if roi.kind == EXTERNAL]
        self._others = [Contoured(roi.contours, grid) for roi in self.parts if roi.kind != EXTERNAL]
        self._shape = grid.shape[1:]
        self._rim = math.ceil(_SKIN / min(grid.spacing[:2]))

    @property
    def has_external(self) -> bool:
        """Whether there is an EXTERNAL with a volume."""
        return any(shape.slices for shape in self._external)

    def is_drawn(self, index: int) -> bool:
        """Whether EXTERNAL is drawn in or around this slice."""
        return any(index in shape.slices for shape in self._external)

    def inside(self, index: int) -> Flags:
        """[y, x]: the voxels of a slice in the body."""
        inside = np.zeros(self._shape, dtype=bool)
        for shape in (*self._external, *self._others):
            if index in shape.slices:
                inside |= shape.inside(index)
        return inside

    def unclear(self, index: int, inside: Flags, hu: NDArray[np.float32]) -> Flags:
        """[y, x]: voxels of more than air that are outside only because EXTERNAL has a hole or is not drawn here.

        Air between arm and trunk is a hole too, with nothing to lose in it; so is what is within 3 mm of the contour.
        """
        if not self.is_drawn(index):
            return np.asarray(~inside & (hu > AIR))
        regions, count = label(~inside)
        edge = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
        if count <= np.count_nonzero(edge):
            return np.zeros(self._shape, dtype=bool)
        holes = ~inside & ~np.isin(regions, edge)
        return np.asarray(binary_erosion(holes, iterations=self._rim) & (hu > AIR))
