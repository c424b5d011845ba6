"""The content of the viewer's file: volumes, outlines, points to go to, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mqi_communicator.dicom.contours import Structure
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Grid, IonPlan
from mqi_communicator.report.analysis import Analysis
from mqi_communicator.report.content import Subject
from mqi_communicator.report.labels import LabelPolicy
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.viewer_file import head, padding
from mqi_communicator.report.volumes import GAMMA_STEP, MISSING, NO_GAMMA, Volumes

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
OUTLINE_STEP = 0.05  # mm: corners of outlines are rounded to it
_AXES = ("L", "P", "H")  # x, y and z of the DICOM patient system point there
_FARTHEST = 32767  # steps
_TARGETS = ("PTV", "CTV", "GTV")


@dataclass(frozen=True, slots=True)
class ViewerFile:
    """A header, and the arrays that it names, in this order."""

    fields: Mapping[str, Any]
    arrays: tuple[NDArray[Any], ...]

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes of the file."""
        yield head(self.fields)
        for array in self.arrays:
            yield np.ascontiguousarray(array).data.cast("B")
            yield b"\0" * padding(array.nbytes)


class _Arrays:
    """Arrays and where each begins."""

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []
        self._end = 0

    def add(self, array: NDArray[Any] | None) -> dict[str, object] | None:
        """The place of an array in the file, or None for none."""
        if array is None:
            return None
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        place = {"at": self._end, "type": array.dtype.name, "shape": list(array.shape)}
        self.arrays.append(little)
        self._end += array.nbytes + padding(array.nbytes)
        return place


def viewer_file(
    subject: Subject,
    analysis: Analysis,
    structures: Sequence[Structure],
    dose_type: DoseType,
    options: ReportOptions,
) -> ViewerFile:
    """The viewer's file of a judged case. It has the labels that the report may have, and nothing else of a header."""
    arrays, shown, policy = _Arrays(), analysis.shown, LabelPolicy(subject.labels, options)
    fields = {
        "format": FORMAT,
        "case": subject.manifest.case,
        "judgement": subject.manifest.judgement,
        "axes": _AXES,
        "position": shown.ct.position,
        "ct": {"grid": _grid(shown.ct.grid), "recorded": _grid(shown.ct.recorded), "hu": arrays.add(shown.ct.hu)},
        "dose": _dose(analysis, shown, dose_type, subject.plan, arrays),
        "points": _points(analysis, subject.plan),
        "structures": _structures(structures, subject.labels.target, shown, policy, arrays),
    }
    return ViewerFile(fields, tuple(arrays.arrays))


def _grid(grid: Grid) -> dict[str, object]:
    return {"shape": grid.shape, "origin": grid.origin, "spacing": grid.spacing}


def _dose(analysis: Analysis, shown: Volumes, dose_type: DoseType, plan: IonPlan, arrays: _Arrays) -> dict[str, object]:
    course = dose_type.extent is Extent.COURSE
    volumes = analysis.volumes
    return {
        "grid": _grid(shown.grid),
        "step_gy": shown.step_gy,
        "missing": MISSING,
        "planned": arrays.add(shown.planned),
        "computed": arrays.add(shown.computed),
        "gamma": arrays.add(shown.gamma),
        "gamma_step": GAMMA_STEP,
        "gamma_exact": shown.exact,
        "no_gamma": NO_GAMMA,
        "criterion": analysis.gamma[0].criterion.label if analysis.gamma else "",
        "unit": "Gy (RBE)" if dose_type.biology is Biology.RBE else "Gy",
        "extent": f"whole course, {plan.fractions} fractions" if course else "one fraction",
        "maximum_gy": analysis.top_gy,
        "reference_gy": volumes.reference_gy if volumes is not None else analysis.top_gy,
        "reference": volumes.reference if volumes is not None else f"the maximum, {analysis.top_gy:.2f} Gy",
    }


def _points(analysis: Analysis, plan: IonPlan) -> list[dict[str, Any]]:
    """Where one may go to: isocentres, the largest difference, the maximum."""
    found: list[dict[str, Any]] = [{"name": row.name.removeprefix("the "), "at": row.point} for row in analysis.points]
    known = {plan.beams[0].isocenter}
    for beam in plan.beams[1:]:
        if beam.isocenter not in known:
            known.add(beam.isocenter)
            found.append({"name": f"isocentre of beam {beam.number}", "at": beam.isocenter})
    return found


def _structures(
    structures: Sequence[Structure], target: int | None, shown: Volumes, policy: LabelPolicy, arrays: _Arrays
) -> list[dict[str, Any]]:
    """The structures of which an outline is in the volumes, with those outlines."""
    bottom, height, slices = shown.ct.grid.origin[2], shown.ct.grid.spacing[2], shown.ct.grid.shape[0]
    low, high = bottom - height / 2, bottom + height * (slices - 1 / 2)
    found = []
    for structure in structures:
        outlines = [(z, corners) for z, corners in structure.contours if low <= z <= high]
        if not outlines:
            continue
        levels = sorted({z for z, _ in structure.contours})
        steps = np.clip(np.rint(np.concatenate([c for _, c in outlines]) / OUTLINE_STEP), -_FARTHEST, _FARTHEST)
        found.append(
            {
                "name": policy.structure(structure),
                "kind": structure.kind,
                "colour": structure.colour,
                "target": structure.kind in _TARGETS or structure.number == target,
                "thickness": min((b - a for a, b in pairwise(levels)), default=height),
                "outlines": [[z, len(corners)] for z, corners in outlines],
                "step": OUTLINE_STEP,
                "corners": arrays.add(steps.astype(np.int16)),
            }
        )
    return found
