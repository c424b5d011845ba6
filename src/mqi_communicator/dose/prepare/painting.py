"""Writes densities into a copy of a CT, slice by slice. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import CTVolume
from mqi_communicator.dose.prepare.body import Body
from mqi_communicator.dose.prepare.conversion import Conversion
from mqi_communicator.dose.prepare.overrides import Override, owners
from mqi_communicator.dose.prepare.water_paths import WaterPaths

if TYPE_CHECKING:
    from numpy.typing import NDArray

AIR = -1000  # HU, outside the body
OUTSIDE = -2  # owner of voxels outside the body


@dataclass(frozen=True, slots=True)
class Painting:
    """The HU that are computed."""

    hu: NDArray[np.float32]
    counts: Sequence[NDArray[np.int64]]  # for each override how often each HU of the CT was in it


def paint(
    ct: CTVolume, overrides: Sequence[Override], body: Body | None, conversion: Conversion, paths: Sequence[WaterPaths]
) -> Painting:
    """Write each override's HU into its voxels and, with a `body`, air outside of it. `paths` are filled.

    A structure that is no part of the body is air outside of it; its density counts there as removed.
    """
    hu = ct.hu.copy()
    counts = [np.zeros_like(conversion.count(ct.hu[:0])) for _ in overrides]
    new_hu = np.array([one.hu for one in overrides], dtype=np.float32)
    written = np.array([one.written for one in overrides], dtype=bool)
    targets = np.array([*(one.target if one.written else 0.0 for one in overrides), 0.0])  # the last: of no structure
    for index in range(ct.grid.shape[0]):
        old, new = ct.hu[index], hu[index]
        claimed, _ = owners(index, overrides, ct.grid.shape[1:])
        owner = claimed
        if body is not None:
            inside = body.inside(index)
            owner = np.where(inside, claimed, np.int16(OUTSIDE))
            new[~inside] = AIR
        owned = owner >= 0
        numbers = owner[owned]
        if len(numbers):
            new[owned] = np.where(written[numbers], new_hu[numbers], new[owned])
        for one in paths:
            at = one.voxels(index)
            before = conversion.estimate(old[at])
            before = np.where(owner[at] == OUTSIDE, np.maximum(before, targets[claimed[at]]), before)
            one.record(index, before, conversion.estimate(new[at]), owner[at])
        for number in np.flatnonzero(np.bincount(numbers, minlength=len(overrides))).tolist():
            counts[number] += conversion.count(old[owner == number])
    hu.setflags(write=False)
    return Painting(hu, counts)
