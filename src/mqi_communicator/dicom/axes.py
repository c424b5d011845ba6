"""Coordinate systems whose axes are parallel to those of the patient system: reversals and swaps, no resampling. Pure.

Arrays are indexed [third, second, first axis], as [z, y, x] of the patient system and [frame, row, column] of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mqi_communicator.dicom.records import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scalar = TypeVar("Scalar", bound=np.generic)

Three = tuple[float, float, float]

_STRAIGHT = 1e-4  # cosine: 0.006 degrees
_DIGITS = 9  # of a coordinate in mm: sums of decimal numbers stay decimal numbers


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of a new system: its coordinate i is `sign[i]` times coordinate `of[i]` of the old one."""

    of: tuple[int, int, int]
    sign: tuple[int, int, int]

    @classmethod
    def of_image(cls, cosines: Sequence[float]) -> Axes | None:
        """The axes of an image by its ImageOrientationPatient (PS3.3 C.7.6.2.1.1): x along a row, y along a column, z
        along their cross product. None for an image that is oblique."""
        first, second = _along(cosines[:3]), _along(cosines[3:])
        if first is None or second is None or first[0] == second[0]:
            return None
        third = 3 - first[0] - second[0]
        cyclic = (second[0] - first[0]) % 3 == 1
        sign = first[1] * second[1] * (1 if cyclic else -1)
        return cls((first[0], second[0], third), (first[1], second[1], sign))

    @property
    def inverse(self) -> Axes:
        """The axes of the old system in the new one."""
        of = tuple(self.of.index(axis) for axis in range(3))
        return Axes((of[0], of[1], of[2]), (self.sign[of[0]], self.sign[of[1]], self.sign[of[2]]))

    def point(self, at: Three) -> Three:
        """A point, or a direction, of the old system in the new one."""
        x, y, z = (sign * at[axis] + 0.0 for axis, sign in zip(self.of, self.sign, strict=True))  # never -0.0
        return x, y, z

    def grid(self, grid: Grid) -> Grid:
        """The same voxels in the new system."""
        counts = grid.shape[::-1]
        low = [
            grid.origin[axis] + 0.0 if sign > 0 else _far_end(grid.origin[axis], counts[axis], grid.spacing[axis])
            for axis, sign in zip(self.of, self.sign, strict=True)
        ]
        first, second, third = self.of
        return Grid(
            shape=(counts[third], counts[second], counts[first]),
            origin=(low[0], low[1], low[2]),
            spacing=(grid.spacing[first], grid.spacing[second], grid.spacing[third]),
        )

    def array(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """A view of the same values, in the order of the new system."""
        turned = values.transpose([2 - axis for axis in reversed(self.of)])
        return turned[tuple(slice(None, None, sign) for sign in reversed(self.sign))]


def _along(vector: Sequence[float]) -> tuple[int, int] | None:
    """The axis that a unit vector is parallel to, and whether it points that way (1) or the other (-1)."""
    for axis, value in enumerate(vector):
        if abs(abs(value) - 1) <= _STRAIGHT and all(abs(v) <= _STRAIGHT for i, v in enumerate(vector) if i != axis):
            return axis, 1 if value > 0 else -1
    return None


def _far_end(origin: float, count: int, spacing: float) -> float:
    """The last coordinate of an axis, reversed: the first of the reversed axis."""
    return round(-(origin + (count - 1) * spacing), _DIGITS) + 0.0
