"""The air around a patient in a CT, and a dose without what was scored there. Pure.

A Monte Carlo engine scores dose to the material of each voxel. A voxel of air has a thousandth of the mass of tissue,
so that a single nuclear fragment that stops there makes it the hottest of all, many times above the target: noise that
no planning system has, and that would distort maxima, centres and ray profiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import CTVolume, Dose

if TYPE_CHECKING:
    from numpy.typing import NDArray

AIR = -900.0  # HU: above the noise of air, below lung and foam


def without_outside_air(dose: Dose, ct: CTVolume) -> Dose:
    """The same dose on the CT's grid, zero in the air around the patient; cavities keep their dose."""
    gy = np.zeros(dose.gy.shape, dtype=dose.gy.dtype)
    for plane, values, hu in zip(gy, dose.gy, ct.hu, strict=True):  # a mask of the whole CT would take longer
        if (found := _inside(hu)) is not None:
            box, inside = found
            np.copyto(plane[box], values[box], where=inside)
    gy.setflags(write=False)
    return replace(dose, gy=gy)


def outside_air(ct: CTVolume) -> NDArray[np.bool_]:
    """Which voxels [z, y, x] are air around the patient: there is only air along a row or a column of the
    slice to one of its four edges.
    """
    outside = np.ones(ct.hu.shape, dtype=bool)
    for plane, hu in zip(outside, ct.hu, strict=True):
        if (found := _inside(hu)) is not None:
            box, inside = found
            plane[box] = ~inside
    return outside


def _inside(hu: NDArray[np.float32]) -> tuple[tuple[slice, slice], NDArray[np.bool_]] | None:
    """What of one slice [y, x] is not air around the patient, in the smallest box that holds it; None if all is air."""
    solid = ~(hu < AIR)  # so that NaN is no air
    hit = [np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0)]
    if not hit[0].size:
        return None
    box = (slice(int(hit[0][0]), int(hit[0][-1]) + 1), slice(int(hit[1][0]), int(hit[1][-1]) + 1))
    solid = solid[box]
    inside = np.ones(solid.shape, dtype=bool)
    for axis in (0, 1):
        inside &= np.logical_or.accumulate(solid, axis=axis)
        inside &= np.flip(np.logical_or.accumulate(np.flip(solid, axis), axis=axis), axis)
    return box, inside
