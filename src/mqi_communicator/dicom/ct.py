"""Reads a CT series as one volume of Hounsfield units: axial, head first supine and evenly spaced."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged, text
from mqi_communicator.dicom.header import CT_IMAGE
from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, printable, refusal
from mqi_communicator.dicom.reading import open_dicom, unreadable
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_ELEMENTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Manufacturer",
    "StationName",
    "ManufacturerModelName",
    "PatientPosition",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
)
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_STRAIGHT = 1e-4  # cosine: 0.006 degrees
_EVEN = 0.1  # mm: positions jitter by some hundredths and are rounded differently
_SAME_PLACE, _SAME_SPACING = 0.02, 1e-3  # mm, in the plane
_EXPORT_AGAIN = "Export the complete, unmodified planning CT again."
_ONE_CT = "Put exactly one complete planning CT into the case."


@dataclass(frozen=True, slots=True)
class Slice:
    """One CT slice without its pixels. Slices of one volume differ only in `path`, `uid` and `z`."""

    path: Path
    uid: str
    z: float  # mm
    plane: tuple[float, ...]  # x, y of the first pixel, row and column spacing, mm
    shape: tuple[int, int]  # rows, columns
    series: str
    frame: str
    scanner: str
    position: str  # PatientPosition, "" where it is missing


def read_ct(paths: Sequence[Path], limits: Limits | None = None) -> CTVolume:
    """Read these slices as a volume, float32 HU, ascending z. DicomProblem with all reasons if they are not one."""
    slices, problems = check_ct(paths, limits)
    if problems:
        raise refusal(problems)
    first = slices[0]
    hu = np.empty((len(slices), *first.shape), dtype=np.float32)
    for index, one in enumerate(slices):
        hu[index] = _hounsfield(one.path, limits)
    hu.setflags(write=False)
    return CTVolume(
        grid=_grid(slices),
        hu=hu,
        frame_of_reference_uid=first.frame,
        series_instance_uid=first.series,
        sop_instance_uids=tuple(one.uid for one in slices),
        scanner=first.scanner,
        position=first.position,
    )


def check_ct(paths: Sequence[Path], limits: Limits | None = None) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """Return the slices by ascending z without pixels, and why they are not one regular volume. Raises nothing.

    The same problem of several slices is reported once.
    """
    found: list[Slice] = []
    problems: dict[str, list[Problem]] = {}
    for path in paths:
        try:
            one, wrong = _slice(path, limits)
        except DicomProblem as error:
            one, wrong = None, [as_problem(error)]
        if one:
            found.append(one)
        for problem in wrong:
            problems.setdefault(problem.code, []).append(problem)
    slices = tuple(sorted(found, key=lambda one: one.z))
    each = [_of_many(many) for many in problems.values()]
    if each:
        return slices, tuple(each)
    if len(slices) < 2:  # noqa: PLR2004 - a volume needs a spacing
        wrong = [Problem("ct.slices", "", f"the CT has {len(slices)} slices", "", "2 or more", _EXPORT_AGAIN)]
        return slices, tuple(wrong)
    return slices, tuple(_mixture(slices) or _gaps(slices))


def _of_many(problems: Sequence[Problem]) -> Problem:
    first, more = problems[0], len(problems) - 1
    return replace(first, file=f"{first.file} and {more} more CT slices") if more else first


def _slice(path: Path, limits: Limits | None) -> tuple[Slice, list[Problem]]:
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None or opened.sop_class_uid != CT_IMAGE:
            raise DicomProblem(
                f"{printable(path.name)} is not a single CT slice (multi-frame and enhanced CT are not supported)",
                "Export the CT as CT Image Storage, one file per slice.",
                "ct.not_a_slice",
            )
        if opened.transfer_syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
            raise unreadable(opened.name, opened.transfer_syntax)
        data, collector = opened.parse(opened.spans(), _ELEMENTS), Collector(opened.name)
        _check_header(data, collector)
        x, y, z = collector.numbers(data, "ImagePositionPatient", 3)
        down, across = collector.numbers(data, "PixelSpacing", 2)
        if down <= 0 or across <= 0:
            collector.add("ct.spacing", f"{down:g}, {across:g}", tag=tagged("PixelSpacing"), expected="more than 0")
        one = Slice(
            path=path,
            uid=str(data.SOPInstanceUID),
            z=z,
            plane=(x, y, down, across),
            shape=(collector.whole(data, "Rows"), collector.whole(data, "Columns")),
            series=text(data, "SeriesInstanceUID"),
            frame=text(data, "FrameOfReferenceUID"),
            scanner="|".join(
                text(data, keyword) for keyword in ("Manufacturer", "ManufacturerModelName", "StationName")
            ),
            position=text(data, "PatientPosition"),
        )
        return one, collector.problems


def _check_header(data: Dataset, collector: Collector) -> None:
    """Check that a slice is axial, in Hounsfield units, and head first supine or without a position."""
    if int(data.get("NumberOfFrames") or 1) != 1:
        raise collector.problem("multi-frame CT is not supported", "ct.not_a_slice", "Export one file per slice.")
    position = text(data, "PatientPosition")
    if position not in ("HFS", ""):
        collector.add(
            "ct.position",
            printable(position),
            tag=tagged("PatientPosition"),
            expected="HFS (head first supine)",
            advice="This CT cannot be used here.",
        )
    direction = collector.numbers(data, "ImageOrientationPatient", 6)
    if any(abs(a - b) > _STRAIGHT for a, b in zip(direction, _AXIAL, strict=True)):
        collector.add(
            "ct.orientation",
            f"{[*direction]}",
            tag=tagged("ImageOrientationPatient"),
            expected="axial slices",
            advice=_EXPORT_AGAIN,
        )
    if (kind := text(data, "RescaleType", "HU")) != "HU":
        collector.add("ct.rescale", printable(kind), tag=tagged("RescaleType"), expected="HU", advice=_EXPORT_AGAIN)
    collector.number(data, "RescaleSlope")
    collector.number(data, "RescaleIntercept")


def _mixture(slices: Sequence[Slice]) -> list[Problem]:
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
            ("position in the plane (0020,0032)", _near(one.plane[:2], first.plane[:2], _SAME_PLACE)),
            ("pixel spacing (0028,0030)", _near(one.plane[2:], first.plane[2:], _SAME_SPACING)),
        ):
            if not same:
                message = (
                    f"the CT slices {printable(first.path.name)} and {printable(one.path.name)} differ in their {what}"
                )
                found.setdefault(what, Problem("ct.mixture", "", message, advice=_ONE_CT))
    return list(found.values())


def _near(some: tuple[float, ...], others: tuple[float, ...], tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(some, others, strict=True))


def _gaps(slices: Sequence[Slice]) -> list[Problem]:
    """Return problems of slices that are missing, duplicate or unevenly spaced."""
    pairs = list(itertools.pairwise(slices))
    twice = [(before, after) for before, after in pairs if after.z - before.z <= _EVEN]
    if twice:
        before, after = twice[0]
        more = f" (and {len(twice) - 1} more such pairs)" if len(twice) > 1 else ""
        message = (
            f"two CT slices are at z = {after.z:g} mm: {printable(before.path.name)} and "
            f"{printable(after.path.name)}{more}"
        )
        return [Problem("ct.double_slice", "", message, advice=_ONE_CT)]
    step = sorted(after.z - before.z for before, after in pairs)[len(pairs) // 2]
    gaps = [one for before, after in pairs if (one := _gap(before, after, step))]
    if gaps:
        return gaps
    even = (slices[-1].z - slices[0].z) / len(pairs)
    for index, here in enumerate(slices):
        if abs(here.z - slices[0].z - index * even) > _EVEN:
            before, after = max(pairs, key=lambda pair: abs(pair[1].z - pair[0].z - step))
            return [_uneven(before, after, step)]
    return []


def _gap(before: Slice, after: Slice, step: float) -> Problem | None:
    here = after.z - before.z
    missing = round(here / step) - 1
    if missing < 1:
        return None
    if abs(here - (missing + 1) * step) > _EVEN * (missing + 1):
        return _uneven(before, after, step)
    message = (
        f"the CT has a gap: {missing} slice{'s' if missing > 1 else ''} missing between z = {before.z:g} mm "
        f"and z = {after.z:g} mm (one every {step:g} mm), first at z = {before.z + step:g} mm"
    )
    return Problem("ct.missing_slice", "", message, advice=_EXPORT_AGAIN)


def _uneven(before: Slice, after: Slice, step: float) -> Problem:
    message = (
        f"the CT is unevenly spaced: {after.z - before.z:g} mm between z = {before.z:g} mm and z = {after.z:g} mm, "
        f"{step:g} mm elsewhere"
    )
    return Problem("ct.spacing", "", message, advice=_EXPORT_AGAIN)


def _grid(slices: Sequence[Slice]) -> Grid:
    first, last = slices[0], slices[-1]
    x, y, down, across = first.plane
    return Grid(
        shape=(len(slices), *first.shape),
        origin=(x, y, first.z),
        spacing=(across, down, (last.z - first.z) / (len(slices) - 1)),
    )


def _hounsfield(path: Path, limits: Limits | None) -> NDArray[np.float32]:
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None:
            raise DicomProblem(f"{printable(path.name)} is no longer a DICOM file", _EXPORT_AGAIN)
        spans = opened.spans()
        data = opened.parse(spans, _ELEMENTS)
        collector = Collector(opened.name)
        layout = (data.BitsAllocated, data.HighBit + 1 - data.BitsStored, data.get("SamplesPerPixel", 1))
        if layout != (16, 0, 1) or data.PhotometricInterpretation != "MONOCHROME2":
            raise collector.problem("the pixels are not 16 bit greyscale (0028,0100)", "ct.pixels", _EXPORT_AGAIN)
        raw = opened.pixels(spans, 2 * data.Rows * data.Columns)
        spare = 16 - int(data.BitsStored)  # bits above the stored ones may hold anything
        kind = np.int16 if data.PixelRepresentation else np.uint16
        stored = (np.frombuffer(raw, dtype="<u2") << spare).view(kind) >> spare
        hu = stored.astype(np.float32) * np.float32(data.RescaleSlope) + np.float32(data.RescaleIntercept)
        return np.asarray(hu.reshape(data.Rows, data.Columns), dtype=np.float32)
