"""Reads a CT series as one volume of Hounsfield units in the patient system, by ImageOrientationPatient alone.

Rows, columns and slices may be along any of the patient's axes, in either direction (PS3.3 C.7.6.2.1.1). Slices that
are slightly uneven are interpolated onto an even grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.ct_slices import EXPORT_AGAIN, Slice, hounsfield, read_slice
from mqi_communicator.dicom.even_slices import evenly_spaced
from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, refusal
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.slice_series import are_even, gaps, mixture
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_ct(paths: Sequence[Path], limits: Limits | None = None) -> CTVolume:
    """Read these slices as a volume, float32 HU [z, y, x], all ascending. DicomProblem with all reasons otherwise."""
    slices, problems = check_ct(paths, limits)
    if problems:
        raise refusal(problems)
    even = are_even(slices)
    first = slices[0]
    axes = Axes(first.axes.of, (*first.axes.sign[:2], 1))  # of the stack: slices by ascending position
    grid = axes.inverse.grid(_stack(slices, axes))
    hu = np.empty(grid.shape, dtype=np.float32)
    planes: Iterable[NDArray[np.float32]] = (hounsfield(one.path, limits) for one in slices)
    planes = planes if even else evenly_spaced([one.at for one in slices], planes)
    for place, plane in zip(axes.array(hu), planes, strict=True):
        place[:] = plane
    hu.setflags(write=False)
    return CTVolume(
        grid=grid,
        hu=hu,
        frame_of_reference_uid=first.frame,
        series_instance_uid=first.series,
        sop_instance_uids=tuple(one.uid for one in slices),
        scanner=first.scanner,
        position=first.position,
        kvp=tuple(sorted({one.kvp for one in slices if one.kvp is not None})),
        notes=() if even else (_interpolated(slices),),
    )


def position_of(path: Path) -> str:
    """Return the PatientPosition of a slice of a CT; "" if it has none."""
    one, _ = read_slice(path, None)
    return one.position if one else ""


def check_ct(paths: Sequence[Path], limits: Limits | None = None) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """Return the slices by ascending position without pixels, and why they are not one volume. Raises nothing.

    The same problem of several slices is reported once.
    """
    found: list[Slice] = []
    problems: dict[str, list[Problem]] = {}
    for path in paths:
        try:
            one, wrong = read_slice(path, limits)
        except DicomProblem as error:
            one, wrong = None, [as_problem(error)]
        if one:
            found.append(one)
        for problem in wrong:
            problems.setdefault(problem.code, []).append(problem)
    slices = tuple(sorted(found, key=lambda one: one.at))
    each = [_of_many(many) for many in problems.values()]
    if each:
        return slices, tuple(each)
    if len(slices) < 2:  # noqa: PLR2004 - a volume needs a spacing
        wrong = [Problem("ct.slices", "", f"the CT has {len(slices)} slices", "", "2 or more", EXPORT_AGAIN)]
        return slices, tuple(wrong)
    return slices, tuple(mixture(slices) or gaps(slices))


def _of_many(problems: Sequence[Problem]) -> Problem:
    first, more = problems[0], len(problems) - 1
    return replace(first, file=f"{first.file} and {more} more CT slices") if more else first


def _stack(slices: Sequence[Slice], axes: Axes) -> Grid:
    """The slices' pixels in the system of `axes`."""
    first, last = slices[0], slices[-1]
    (down, across), step = first.spacing, (last.at - first.at) / (len(slices) - 1)
    return Grid((len(slices), *first.shape), axes.point(first.first), (across, down, step))


def _interpolated(slices: Sequence[Slice]) -> str:
    steps = [after.at - before.at for before, after in itertools.pairwise(slices)]
    even = (slices[-1].at - slices[0].at) / len(steps)
    return (
        f"the CT's slices are unevenly spaced, {min(steps):.4g} to {max(steps):.4g} mm; they are interpolated linearly "
        f"onto slices every {even:.4g} mm"
    )
