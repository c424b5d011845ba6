"""Structures that a planning system computed with properties of their own, and whether that changes a dose. Pure.

A property leads to a refusal only where it matters: in a voxel whose centre is in the structure, in the path of a beam,
where the engine would take another stopping ratio from the CT. Where this cannot be determined, it matters.

A beam's path is everything within `rays.MARGIN` of one of its spots' rays, from the CT's edge to the depth in water
that its highest energy reaches, plus 10 % and 20 mm, on the least shielded ray in that neighbourhood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import minimum_filter

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dicom.structures import Overridden, StructureSet, override_problem
from mqi_communicator.dose.contoured import Contoured
from mqi_communicator.dose.rays import MARGIN, BeamPath, Field, beam_path_of, field_of, heights_across, voxels_at
from mqi_communicator.dose.stopping import Ratio, range_in_water, target_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_SAME = 0.01  # of the target: two ratios that differ by less are the same
_NOTHING = 0.001  # and so are two that differ by less than this: 1 mm of water in a metre
_MORE, _SPARE = 1.1, 20.0  # of the range in water, and mm beyond
_RAYS = 2000  # at a time
_EXTERNAL = "EXTERNAL"


def override_problems(
    structures: StructureSet,
    plan: IonPlan,
    ct: CTVolume,
    ratio: Ratio,
    sad: Callable[[Beam], tuple[float, float]],
) -> tuple[Problem, ...]:
    """One Problem per structure whose physical properties would change the dose of a beam; () if none does.

    `ratio`: the engine's, from HU. `sad`: the distances in mm of a beam's magnets from the isocentre.
    """
    targets = [(one, target_ratio(one.properties)) for one in structures.overridden]
    meant = [(Contoured(one.contours, ct.grid), one, target) for one, target in targets if target is not None]
    beams = [_Beam(beam_path_of(beam, sad(beam)), ct, ratio) for beam in plan.beams]
    problems = []
    for shape, one, target in meant:
        others = [other for other, owner, _ in meant if other is not shape and owner.kind != _EXTERNAL]
        found = _change(shape, others if one.kind == _EXTERNAL else [], target, ct, ratio, beams)
        if one.doubt:
            found = f"{one.doubt}, so its position is unknown"
        if found:
            problems.append(override_problem(one, structures.file, f"{_description(one, target)}, {found}"))
    return tuple(problems)


def _change(
    shape: Contoured, others: Sequence[Contoured], target: float, ct: CTVolume, ratio: Ratio, beams: Sequence[_Beam]
) -> str:
    """The first change, as text; "" if there is none. `others`: structures that take precedence over this one."""
    for index, inside in _slices(shape, others):
        rows, columns = np.nonzero(inside)
        own = ratio(ct.hu[index, rows, columns])
        unlike = ~(np.abs(own - target) <= max(_SAME * target, _NOTHING))  # so that NaN is unlike
        if not unlike.any():
            continue
        own, at = own[unlike], np.stack([np.full(unlike.sum(), index), rows[unlike], columns[unlike]], axis=1)
        origin, spacing = np.asarray(ct.grid.origin), np.asarray(ct.grid.spacing)
        points = origin + at[:, ::-1] * spacing
        for beam in beams:
            if (passed := beam.passes(points)).any():
                first = int(np.argmax(passed))
                value = "an unknown one" if math.isnan(own[first]) else f"{own[first]:.3f}"
                x, y, z = points[first]
                return (
                    f"the engine takes {value} from the CT in the path of beam {beam.number}, at {x:g}, {y:g}, {z:g} mm"
                )
    return ""


def _slices(shape: Contoured, others: Sequence[Contoured]) -> Iterator[tuple[int, Flags]]:
    """The slices in which a structure has voxels of its own, with those voxels."""
    for index in shape.slices:
        inside = shape.inside(index)
        for other in others:
            if index in other.slices:
                inside &= ~other.inside(index)
        if inside.any():
            yield index, inside


def _description(one: Overridden, target: float) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in one.properties if name != "ELEM_FRACTION")
    means = "an unknown stopping ratio" if math.isnan(target) else f"a stopping ratio of {target:.3f}"
    return f"{values or 'ELEM_FRACTION'} {'give' if ',' in values else 'gives'} {means}"


class _Beam:
    """The part of a CT that one beam passes."""

    def __init__(self, beam_path: BeamPath, ct: CTVolume, ratio: Ratio) -> None:
        self._beam_path, self._ct, self._ratio = beam_path, ct, ratio
        self.number = beam_path.number

    def passes(self, points: Doubles) -> Flags:
        """Whether the beam may pass these points (n, 3), in mm."""
        seen = self._beam_path.project(points)
        u, v, inside = self._field.index(seen[:, 0], seen[:, 1])
        if not inside.any():
            return np.asarray(inside)
        return np.asarray(inside & (seen[:, 2] >= self._ends[u, v]))

    @cached_property
    def _field(self) -> Field:
        return field_of(self._beam_path)

    @cached_property
    def _ends(self) -> Doubles:
        """The height in mm, per cell of the field, that no proton within its margin passes."""
        step = max(2.0, min(self._ct.grid.spacing))
        heights = heights_across(self._beam_path, self._ct.grid, step)
        reach = range_in_water(self._beam_path.energy) * _MORE + _SPARE
        cells = np.argwhere(self._field.near)
        ends = np.full(self._field.near.shape, np.inf)
        for begin in range(0, len(cells), _RAYS):
            some = self._field.positions[begin : begin + _RAYS]
            ends[tuple(cells[begin : begin + _RAYS].T)] = self._end(some, heights, step, reach)
        span = np.arange(-MARGIN, MARGIN + self._field.step, self._field.step)
        disc = np.hypot(span[:, None], span[None, :]) <= MARGIN + self._field.step
        return np.asarray(minimum_filter(ends, footprint=disc, mode="constant", cval=np.inf))

    def _end(self, spots: Doubles, heights: Doubles, step: float, reach: float) -> Doubles:
        """The height at which each of these rays has crossed so much water (mm); unknown ratios count as zero."""
        voxels, inside = voxels_at(self._beam_path.points(spots, heights), self._ct.grid)
        water = np.where(inside, np.nan_to_num(self._ratio(self._ct.hu[voxels])), 0.0).cumsum(axis=1) * step
        crossed = water > reach
        return np.where(crossed.any(axis=1), heights[np.argmax(crossed, axis=1)], -np.inf)
