"""The stage that refuses range shifters and apertures within the patient. Pure.

Engines start their protons at the downstream edge of such a device (MCsquare), or move them there through whatever else
there is (moqui): tissue on the source's side of it would stop nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, CTVolume
from mqi_communicator.dicom.structures import EXTERNAL, StructureSet
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.checks import beams_at
from mqi_communicator.dose.contoured import Contoured
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.outside import AIR
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.rays import MARGIN, BeamPath, Field, beam_path_of, field_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Flags = NDArray[np.bool_]


def check_shifter_space(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Refuse a range shifter or an aperture if there is matter of the CT, or a part of EXTERNAL, between its downstream
    edge and the source, within the margin of a ray that passes it."""
    bodies = _bodies(draft.structures, draft.ct)
    problems: list[Problem] = []
    for beam in beams_at(draft.plan, draft.ct):
        model = models.machine(beam)
        if model is None:
            continue
        problems += [
            _problem(draft.plan.file, beam, "aperture", "the aperture", block.downstream, found)
            for block in beam.apertures
            if (found := _beyond(beam, model, block.downstream, draft.ct, bodies))
        ]
        if model.shifters is None:
            continue  # not resolved by `resolve_shifters`
        for one in dict.fromkeys(one for layer in beam.layers for one in layer.shifters):
            through = replace(beam, layers=tuple(layer for layer in beam.layers if one in layer.shifters))
            if found := _beyond(through, model, one.distance or 0.0, draft.ct, bodies):
                what = f"range shifter {printable(one.id)}"
                problems.append(_problem(draft.plan.file, beam, "range_shifter", what, one.distance or 0.0, found))
    return draft.refused(problems)


def _beyond(beam: Beam, model: MachineModel, distance: float, ct: CTVolume, bodies: list[Contoured]) -> str:
    """The first voxel of matter or body within the beam, on the source's side of the plane at `distance` mm, as text;
    "" if there is none."""
    beam_path = beam_path_of(beam, model.sad)
    return _first_beyond(beam_path, field_of(beam_path, _margin(beam, model)), distance, ct, bodies)


def _margin(beam: Beam, model: MachineModel) -> float:
    """Three standard deviations of the beam's widest spot in mm, and at least that of every beam's path."""
    sigmas = [model.spot_sigma(layer.energy) for layer in beam.layers] if model.spot_sigma else []
    return max([MARGIN, *(3 * sigma for sigma in sigmas if math.isfinite(sigma))])


def _bodies(structures: StructureSet | None, ct: CTVolume) -> list[Contoured]:
    rois = structures.rois if structures else ()
    return [Contoured(one.contours, ct.grid) for one in rois if one.kind == EXTERNAL]


def _first_beyond(beam_path: BeamPath, field: Field, distance: float, ct: CTVolume, bodies: list[Contoured]) -> str:
    """The first voxel of matter or body on the source's side of the plane at `distance` mm, as text; "" if none."""
    for index, points in _slices_beyond(beam_path, distance, ct):
        rows, columns = points
        matter = ~(ct.hu[index, rows, columns] < AIR)  # so that NaN is matter
        inside = np.zeros(len(rows), dtype=bool)
        for body in bodies:
            inside |= body.inside(index)[rows, columns]
        taken = matter | inside
        at = _positions(ct, index, rows[taken], columns[taken])
        seen = beam_path.project(at)
        _, _, near = field.index(seen[:, 0], seen[:, 1])
        if near.any():
            first = int(np.argmax(near))
            x, y, z = at[first]
            what = f"{ct.hu[index, rows[taken][first], columns[taken][first]]:g} HU"
            return f"{what} at {x:g}, {y:g}, {z:g} mm, {seen[first, 2]:.0f} mm from the isocentre towards the source"
    return ""


def _slices_beyond(
    beam_path: BeamPath, distance: float, ct: CTVolume
) -> Iterator[tuple[int, tuple[NDArray[np.intp], NDArray[np.intp]]]]:
    """The voxels (rows, columns) of each slice that reach beyond the plane at `distance` mm."""
    towards = beam_path.axes[2]
    reach = float(np.abs(towards) @ np.asarray(ct.grid.spacing)) / 2  # of a voxel, from its centre
    zs, ys, xs = ct.grid.axes()
    x0, y0, z0 = beam_path.isocenter
    in_slice = (ys - y0)[:, None] * towards[1] + ((xs - x0) * towards[0])[None, :]
    for index, z in enumerate(zs):
        level = distance - reach - (z - z0) * towards[2]
        if in_slice.max() > level:
            rows, columns = np.nonzero(in_slice > level)
            yield index, (rows, columns)


def _positions(ct: CTVolume, index: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Doubles:
    at = np.stack([columns, rows, np.full(len(rows), index)], axis=1)
    found: Doubles = np.asarray(ct.grid.origin) + at * np.asarray(ct.grid.spacing)
    return found


def _problem(file: str, beam: Beam, kind: str, what: str, distance: float, found: str) -> Problem:
    return Problem(
        f"dose.{kind}",
        file,
        f"{what} would be in the patient: its downstream edge is {distance:g} mm from the isocentre, and the CT has "
        f"{found}",
        expected=f"air (below {AIR:g} HU) and nothing of EXTERNAL between the {kind.replace('_', ' ')} and the source",
        advice=f"Check the position of the {kind.replace('_', ' ')} in the plan and in the configuration, and the CT.",
        where=where(beam),
    )
