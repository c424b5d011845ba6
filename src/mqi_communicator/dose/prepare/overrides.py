"""Structures with a density of their own, and the HU with which an engine computes it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.records import Grid, IonPlan
from mqi_communicator.dicom.structures import BOLUS, EXTERNAL, Roi
from mqi_communicator.dose.contoured import Contoured
from mqi_communicator.dose.prepare.conversion import Conversion
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.stopping import same_ratio, target_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]

_EXPORT = "Export the structure set with a density for it, or plan without it."
_BOLI = "ReferencedBolusSequence (300C,00B0)"


@dataclass(frozen=True, slots=True)
class Override:
    """One structure with a stopping ratio of its own."""

    roi: Roi
    shape: Contoured
    target: float  # stopping ratio; NaN if it cannot be determined
    hu: int  # whose ratio is the target
    ratio: float  # that the engine takes from `hu`
    rank: int  # of two structures that overlap, that with the lower rank counts
    obstacle: str = ""  # why it cannot be written into the CT, as a clause
    not_for: frozenset[int] = frozenset()  # the beams that it must not change: numbers of Beam
    why_not: str = ""  # for them, as a clause
    advice: str = ""

    @property
    def external(self) -> bool:
        """Whether it yields to all others."""
        return self.roi.kind == EXTERNAL

    @property
    def written(self) -> bool:
        """Whether its voxels get `hu`."""
        return not self.obstacle

    def contradicts(self, other: Override) -> bool:
        """Whether it is undefined which of two structures counts in a voxel that both have."""
        if self.external != other.external or self.rank != other.rank:
            return False
        return not bool(same_ratio(self.target, other.target))

    @property
    def values(self) -> str:
        """Its properties and their ratio, for messages."""
        properties = [one for one in self.roi.properties if one[0] != "ELEM_FRACTION"]
        values = ", ".join(f"{printable(name)} {value:g}" for name, value in properties)
        means = "an unknown stopping ratio" if math.isnan(self.target) else f"a stopping ratio of {self.target:.3f}"
        return f"{values or 'ELEM_FRACTION'} {'give' if ',' in values else 'gives'} {means}"


def overrides_of(
    rois: Iterable[Roi], plan: IonPlan, grid: Grid, conversion: Conversion, options: PreparationOptions
) -> tuple[Override, ...]:
    """The structures whose properties determine a stopping ratio, the least important first."""
    named = naming_beams(plan)
    found = []
    for roi in rois:
        target = target_ratio(roi.properties, options.water_ev)
        if target is not None:
            found.append(_override(roi, target, plan, named, grid, conversion, options))
    return tuple(sorted(found, key=lambda one: (not one.external, -one.rank, -one.roi.number)))


def naming_beams(plan: IonPlan) -> Mapping[int, frozenset[int]]:
    """For each bolus (ROINumber) the numbers of the beams that name it."""
    boli = {number for beam in plan.beams for number in beam.boli}
    return {number: frozenset(beam.number for beam in plan.beams if number in beam.boli) for number in boli}


def owners(
    index: int, overrides: Sequence[Override], shape: tuple[int, int]
) -> tuple[NDArray[np.int16], list[Overlap]]:
    """For each voxel [y, x] of a slice the structure (its place in `overrides`) that counts there, -1 where none does;
    and where that is undefined."""
    owner = np.full(shape, -1, dtype=np.int16)
    overlaps = []
    for number, one in enumerate(overrides):
        if index not in one.shape.slices:
            continue
        inside = one.shape.inside(index)
        others = np.flatnonzero(np.bincount(owner[inside] + 1)[1:]).tolist()
        apart = [other for other in others if one.contradicts(overrides[other])]
        overlaps += [Overlap(other, number, inside & (owner == other)) for other in apart]
        owner[inside] = number
    return owner, overlaps


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxels of a slice in two structures that contradict each other."""

    one: int  # place in the overrides
    other: int
    voxels: Flags  # [y, x]


def _override(
    roi: Roi,
    target: float,
    plan: IonPlan,
    named: Mapping[int, frozenset[int]],
    grid: Grid,
    conversion: Conversion,
    options: PreparationOptions,
) -> Override:
    hu, ratio = conversion.nearest(target)
    obstacle, advice, not_for, why_not = "", "", frozenset[int](), ""
    if math.isnan(target):
        obstacle, advice = "its properties do not determine a stopping ratio", _EXPORT
    elif math.isnan(ratio):
        obstacle = "the engine's conversion from HU is not known"
        advice = "Compute the case with another engine, or plan without the density."
    elif not same_ratio(ratio, target):
        obstacle = f"and the nearest that the conversion of the CT's scanner offers is {ratio:.3f} at {hu} HU"
        advice = "Compute the case with an engine or a curve that reaches it, or plan without the density."
    if roi.kind == BOLUS or roi.number in named:
        naming = named.get(roi.number, frozenset())
        not_for = frozenset(beam.number for beam in plan.beams) - naming
        beams = ", ".join(str(number) for number in sorted(naming))
        why_not = f"and {_BOLI} of beam {beams} alone names it" if naming else f"and no beam names it in {_BOLI}"
        advice = advice or "Plan the bolus for all beams that pass it, or move it out of the others' paths."
        if not naming and not obstacle:
            obstacle, advice = why_not, "Assign the bolus to its beams in the planning system, or remove it."
    return Override(
        roi,
        Contoured(roi.contours, grid),
        target,
        hu,
        ratio,
        options.rank(roi.name),
        obstacle,
        not_for,
        why_not,
        advice,
    )
