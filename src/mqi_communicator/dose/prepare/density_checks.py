"""The checks of a verdict on densities: what was overridden, and what was removed outside the body. Pure.

Verdicts hold no names of structures: they are given by number and kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.records import Grid
from mqi_communicator.dicom.structures import BODY, Roi
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.overrides import Override
from mqi_communicator.dose.stopping import assumption

LIMIT = 2.0  # mm of water
_LIMIT_TEXT = f"at most {LIMIT:g} mm of water"
_KINDS = BODY | {"ORGAN", "AVOIDANCE", "CAVITY", "CONTRAST_AGENT", "PTV", "CTV", "GTV", "MARKER", "CONTROL"}
_PROPERTIES = {
    "REL_MASS_DENSITY": ("mass density", ""),
    "REL_ELEC_DENSITY": ("electron density", ""),
    "REL_STOP_RATIO": ("stopping ratio", ""),
    "MEAN_EXCI_ENERGY": ("mean excitation energy", " eV"),
}


def overrides_check(
    one: Override, mean: float, count: int, changes: Mapping[int, float], grid: Grid, options: PreparationOptions
) -> Caution:
    """What was computed for one structure. `mean`: the CT's own ratio in its `count` voxels; `changes`: the change in
    mm of water on the rays of each beam."""
    beam, change = max(changes.items(), key=lambda item: abs(item[1]), default=(0, 0.0))
    if count and one.written:
        found = (
            f"{count} voxels have {one.hu} HU (stopping ratio {one.ratio:.3f}) instead of the CT's mean ratio of "
            f"{mean:.3f}"
        )
        found += f"; water on a ray of beam {beam} changes by {change:+.1f} mm" if abs(change) >= 0.05 else ""  # noqa: PLR2004 - as it is rounded
    else:
        found = "the CT was left as it is: " + (
            "no beam passes a voxel where it matters" if count else "no voxel of it"
        )
    expected = options.is_expected(one.roi.name)
    review = abs(change) > LIMIT and not expected
    notes = [f"{_properties(one)}, target ratio {one.target:.3f}; {found}", *_assumptions(one, grid)]
    notes += ["the site expects this structure" if expected else "confirm it"] if abs(change) > LIMIT else []
    note = "; ".join(notes)
    limit = f"{_LIMIT_TEXT}, or named in preparation.expected_overrides"
    return Caution("overrides", _scope(one.roi), note, review, round(change, 2), "mm", limit)


def removed_check(beam: int, removed: float) -> Caution:
    """The water in mm that was removed outside the body on one of the beam's rays."""
    note = f"up to {removed:.1f} mm of water outside the body are air on a ray of the beam (preparation.outside_body)"
    if removed > LIMIT:
        note += ": check that the plan has the couch and that EXTERNAL does not cut the skin"
    return Caution("removed_material", f"beam {beam}", note, removed > LIMIT, round(removed, 2), "mm", _LIMIT_TEXT)


def _scope(roi: Roi) -> str:
    return f"structure {roi.number}" + (f" ({roi.kind})" if roi.kind in _KINDS else "")


def _properties(one: Override) -> str:
    known = [(*_PROPERTIES[name], value) for name, value in one.roi.properties if name in _PROPERTIES]
    return ", ".join(f"{words} {value:g}{unit}" for words, unit, value in known) or "other properties"


def _assumptions(one: Override, grid: Grid) -> Iterator[str]:
    if assumed := assumption(one.roi.properties):
        yield assumed
    levels = sorted({round(z, 2) for z, _ in one.roi.contours})
    yield from _drawn(levels, sorted(one.shape.slices), grid)


def _drawn(levels: Sequence[float], slices: Sequence[int], grid: Grid) -> Iterator[str]:
    """Where contours are far apart or end within the CT."""
    if not slices:
        return
    dz, z = grid.spacing[2], grid.axes()[0]
    widest = max((after - before for before, after in itertools.pairwise(levels)), default=0.0)
    if widest > 1.5 * dz and len(slices) > len(levels):
        yield f"its contours are up to {widest:g} mm apart, and slices between them have the voxels of both"
    if missing := slices[-1] - slices[0] + 1 - len(slices):
        yield f"{missing} slices between its parts have none of it"
    if slices[0] > 0 or slices[-1] < grid.shape[0] - 1:
        yield f"it is drawn from z = {z[slices[0]]:g} to {z[slices[-1]]:g} mm of the CT's {z[0]:g} to {z[-1]:g} mm"
