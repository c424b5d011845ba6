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
    gy = np.where(outside_air(ct), np.float32(0), dose.gy)
    gy.setflags(write=False)
    return replace(dose, gy=gy)


def outside_air(ct: CTVolume) -> NDArray[np.bool_]:
    """Which voxels [z, y, x] are air around the patient: there is only air along a row or a column of the
    slice to one of its four edges.
    """
    air = ct.hu < AIR
    outside = np.zeros_like(air)
    for axis in (1, 2):
        outside |= np.logical_and.accumulate(air, axis=axis)
        backwards = np.flip(air, axis)
        outside |= np.flip(np.logical_and.accumulate(backwards, axis=axis), axis)
    return outside
