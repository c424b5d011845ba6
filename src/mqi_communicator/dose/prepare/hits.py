"""Finds where densities that cannot be computed would change a beam. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mqi_communicator.dicom.records import CTVolume
from mqi_communicator.dose.passage import Passage
from mqi_communicator.dose.prepare.body import Body
from mqi_communicator.dose.prepare.overrides import Override, owners
from mqi_communicator.dose.stopping import Ratio, same_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Hit:
    """A voxel that a beam may pass."""

    beam: int
    point: tuple[float, float, float]  # mm
    hu: float  # of the CT

    def __str__(self) -> str:
        """For messages: the beam and the point."""
        x, y, z = self.point
        return f"in the path of beam {self.beam}, at {x:g}, {y:g}, {z:g} mm"


@dataclass(slots=True)
class Hits:
    """The first voxel of each thing that is wrong."""

    wrong: dict[int, Hit] = field(default_factory=dict)  # by place in the overrides: not written, or not for the beam
    overlaps: dict[tuple[int, int], Hit] = field(default_factory=dict)  # by places in the overrides
    gaps: dict[bool, Hit] = field(default_factory=dict)  # of the body, by whether EXTERNAL is drawn in the slice


def find_hits(
    ct: CTVolume, overrides: Sequence[Override], body: Body | None, ratio: Ratio, passages: Sequence[Passage]
) -> Hits:
    """Search the slices. `ct`: as scanned; `passages`: in the CT that is computed."""
    found, search = Hits(), _Search(ct, passages)
    faulty = [number for number, one in enumerate(overrides) if not one.written or one.not_for]
    contradictory = any(one.contradicts(other) for one, other in itertools.combinations(overrides, 2))
    for index in range(ct.grid.shape[0]):
        inside = None if body is None else body.inside(index)
        if body is not None and inside is not None and (drawn := body.is_drawn(index)) not in found.gaps:
            search.keep(found.gaps, drawn, index, body.unclear(index, inside, ct.hu[index]))
        if not faulty and not contradictory:
            continue
        owner, overlaps = owners(index, overrides, ct.grid.shape[1:])
        kept = np.ones(owner.shape, dtype=bool) if inside is None else inside  # other structures outside are air
        for both in overlaps:
            if (pair := (both.one, both.other)) not in found.overlaps:
                search.keep(found.overlaps, pair, index, both.voxels & kept)
        for number in faulty:
            if number not in found.wrong:
                one, voxels = overrides[number], (owner == number) & kept
                voxels[voxels] = ~same_ratio(ratio(ct.hu[index][voxels]), one.target)
                search.keep(found.wrong, number, index, voxels, one.not_for if one.written else None)
    return found


class _Search:
    """Finds voxels that beams may pass."""

    def __init__(self, ct: CTVolume, passages: Sequence[Passage]) -> None:
        self._ct, self._passages = ct, passages

    def keep(
        self, hits: dict[_Key, Hit], key: _Key, index: int, voxels: Flags, beams: frozenset[int] | None = None
    ) -> None:
        """Keep the first of these voxels [y, x] of a slice that one of these beams (None: any) may pass, if any."""
        rows, columns = np.nonzero(voxels)
        if not len(rows):
            return
        grid = self._ct.grid
        places = np.stack([columns, rows, np.full(len(rows), index)], axis=1)
        points = np.asarray(grid.origin) + places * np.asarray(grid.spacing)
        for one in self._passages:
            if (beams is None or one.number in beams) and (passed := one.passes(points)).any():
                at = int(np.argmax(passed))
                x, y, z = points[at].tolist()
                hits[key] = Hit(one.number, (x, y, z), float(self._ct.hu[index, rows[at], columns[at]]))
                return
