"""Checks that CT slices are one series without gaps. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mqi_communicator.dicom.ct_slices import EXPORT_AGAIN, Slice
from mqi_communicator.dicom.even_slices import even_positions
from mqi_communicator.dicom.problem import Problem, printable

EVEN = 0.1  # mm: positions jitter by some hundredths and are rounded differently
_UNEVEN = 0.2  # of the usual distance: slices are interpolated up to here
_SAME_PLACE, _SAME_SPACING = 0.02, 1e-3  # mm, in the plane
_ONE_CT = "Put exactly one complete planning CT into the case."


def mixture(slices: Sequence[Slice]) -> list[Problem]:
    """Return one problem for each property in which the slices differ."""
    first = slices[0]
    found: dict[str, Problem] = {}
    for one in slices[1:]:
        for what, same in (
            ("series (0020,000E)", one.series == first.series),
            ("frame of reference (0020,0052)", one.frame == first.frame),
            ("rows and columns (0028,0010)", one.shape == first.shape),
            ("scanner (0008,1090)", one.scanner == first.scanner),
            ("patient position (0018,5100)", one.position == first.position),
            ("orientation (0020,0037)", one.axes == first.axes),
            ("position in the plane (0020,0032)", _near(one.corner, first.corner, _SAME_PLACE)),
            ("pixel spacing (0028,0030)", _near(one.spacing, first.spacing, _SAME_SPACING)),
        ):
            if not same:
                message = (
                    f"the CT slices {printable(first.path.name)} and {printable(one.path.name)} differ in their {what}"
                )
                found.setdefault(what, Problem("ct.mixture", "", message, advice=_ONE_CT))
    return list(found.values())


def _near(some: tuple[float, ...], others: tuple[float, ...], tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(some, others, strict=True))


def gaps(slices: Sequence[Slice]) -> list[Problem]:
    """Return problems of slices, by ascending position, that are missing, duplicate or too unevenly spaced."""
    pairs = list(itertools.pairwise(slices))
    twice = [(before, after) for before, after in pairs if after.at - before.at <= EVEN]
    if twice:
        before, after = twice[0]
        more = f" (and {len(twice) - 1} more such pairs)" if len(twice) > 1 else ""
        message = (
            f"two CT slices are at {before.normal} = {after.at:g} mm: {printable(before.path.name)} and "
            f"{printable(after.path.name)}{more}"
        )
        return [Problem("ct.double_slice", "", message, advice=_ONE_CT)]
    step = usual_step(slices)
    found = [one for before, after in pairs if (one := _gap(before, after, step))]
    if found or are_even(slices):
        return found
    before, after = max(pairs, key=lambda pair: abs(pair[1].at - pair[0].at - step))
    return [] if abs(after.at - before.at - step) <= _UNEVEN * step else [_uneven(before, after, step)]


def are_even(slices: Sequence[Slice]) -> bool:
    """Whether each slice is where even spacing puts it, within the jitter of real scanners."""
    positions = [one.at for one in slices]
    return bool((abs(even_positions(positions) - positions) <= EVEN).all())


def usual_step(slices: Sequence[Slice]) -> float:
    """The median distance of neighbours in mm."""
    steps = sorted(after.at - before.at for before, after in itertools.pairwise(slices))
    return steps[len(steps) // 2]


def _gap(before: Slice, after: Slice, step: float) -> Problem | None:
    here = after.at - before.at
    missing = round(here / step) - 1
    if missing < 1:
        return None
    if abs(here - (missing + 1) * step) > EVEN * (missing + 1):
        return _uneven(before, after, step)
    axis = before.normal
    message = (
        f"the CT has a gap: {missing} slice{'s' if missing > 1 else ''} missing between {axis} = {before.at:g} mm "
        f"and {axis} = {after.at:g} mm (one every {step:g} mm), first at {axis} = {before.at + step:g} mm"
    )
    return Problem("ct.missing_slice", "", message, advice=EXPORT_AGAIN)


def _uneven(before: Slice, after: Slice, step: float) -> Problem:
    axis = before.normal
    message = (
        f"the CT is unevenly spaced: {after.at - before.at:g} mm between {axis} = {before.at:g} mm and "
        f"{axis} = {after.at:g} mm, {step:g} mm elsewhere; at most {100 * _UNEVEN:g} % are interpolated"
    )
    return Problem("ct.spacing", "", message, advice=EXPORT_AGAIN)
