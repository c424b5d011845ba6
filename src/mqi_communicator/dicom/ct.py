"""Reading a CT series as one volume of Hounsfield units: axial, HFS and evenly spaced, or refused by name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.dicom.header import CT_IMAGE
from mqi_communicator.dicom.problem import DicomProblem, shown
from mqi_communicator.dicom.reading import Opened, open_dicom, unreadable
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.walk import Limits
from mqi_communicator.dicom.words import Words, named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

_TAGS = (
    0x00080016,
    0x00080018,
    0x00080070,
    0x00081010,
    0x00081090,
    0x00185100,
    0x0020000E,
    0x00200032,
    0x00200037,
    0x00200052,
    0x00280002,
    0x00280004,
    0x00280008,
    0x00280010,
    0x00280011,
    0x00280030,
    0x00280100,
    0x00280101,
    0x00280102,
    0x00280103,
    0x00281052,
    0x00281053,
    0x00281054,
)
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_STRAIGHT = 1e-4  # cosine: 0.006 degrees
_EVEN = 0.05  # mm: positions are written with one or two decimals
_MEND = "Export the planning CT again, whole and as it came from the scanner."


@dataclass(frozen=True, slots=True)
class Slice:
    """One CT slice without its pixels. Slices of one volume are equal in all but `path`, `uid` and `z`."""

    path: Path
    uid: str
    z: float  # mm
    plane: tuple[float, ...]  # x, y of the first pixel, row and column spacing, mm
    shape: tuple[int, int]  # rows, columns
    series: str
    frame: str
    scanner: str


def read_ct(paths: Sequence[Path], limits: Limits | None = None) -> CTVolume:
    """The volume that these slices make, float32 HU, ascending z. DicomProblem names whatever is not as expected."""
    import numpy as np

    slices = check_ct(paths, limits)
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
    )


def check_ct(paths: Sequence[Path], limits: Limits | None = None) -> tuple[Slice, ...]:
    """The slices by ascending z, proved to make one even volume, without reading a pixel."""
    slices = sorted((_slice(path, limits) for path in paths), key=lambda one: one.z)
    if len(slices) < 2:  # noqa: PLR2004 - a volume needs a spacing
        raise DicomProblem(f"the CT has {len(slices)} slices, at least 2 make a volume", _MEND, "ct.slices")
    _refuse_mixture(slices)
    _refuse_gaps(slices)
    return tuple(slices)


def _slice(path: Path, limits: Limits | None) -> Slice:
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None or opened.sop_class_uid != CT_IMAGE:
            raise DicomProblem(
                f"{shown(path.name)} is no single CT slice (multi-frame or enhanced CT is not read)",
                "Export the CT as CT Image Storage, one file per slice.",
                "ct.not_a_slice",
            )
        data, words = _checked(opened)
        x, y, z = words.numbers(data, "ImagePositionPatient", 3)
        down, across = words.numbers(data, "PixelSpacing", 2)
        if down <= 0 or across <= 0:
            raise words.problem(f"{named('PixelSpacing')} is {down:g}, {across:g}, expected more than 0", "ct.spacing")
        return Slice(
            path=path,
            uid=str(data.SOPInstanceUID),
            z=z,
            plane=(x, y, down, across),
            shape=(words.whole(data, "Rows"), words.whole(data, "Columns")),
            series=str(data.get("SeriesInstanceUID", "")),
            frame=str(data.get("FrameOfReferenceUID", "")),
            scanner="|".join(
                str(data.get(keyword, "") or "").strip()
                for keyword in ("Manufacturer", "ManufacturerModelName", "StationName")
            ),
        )


def _checked(opened: Opened) -> tuple[Dataset, Words]:
    """The header of a slice that is axial, HFS and in Hounsfield units."""
    data = opened.parse(opened.spans(), _TAGS)
    words = Words(opened.name)
    if opened.transfer_syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        raise unreadable(opened.name, opened.transfer_syntax)
    if int(data.get("NumberOfFrames", 1)) != 1:
        raise words.problem("multi-frame CT is not read", "ct.not_a_slice", "Export one file per slice.")
    position = str(data.get("PatientPosition", ""))
    if position != "HFS":
        raise words.problem(
            f"{named('PatientPosition')} is {shown(position) or 'missing'}; only head first supine (HFS) is computed",
            "ct.position",
            "This CT cannot be used here.",
        )
    direction = words.numbers(data, "ImageOrientationPatient", 6)
    if any(abs(a - b) > _STRAIGHT for a, b in zip(direction, _AXIAL, strict=True)):
        raise words.problem(
            f"{named('ImageOrientationPatient')} is {[*direction]}; only axial slices are computed",
            "ct.orientation",
            _MEND,
        )
    if str(data.get("RescaleType", "HU") or "HU") != "HU":
        raise words.problem(f"{named('RescaleType')} is {shown(str(data.RescaleType))}, expected HU", "ct.rescale")
    words.number(data, "RescaleSlope")
    words.number(data, "RescaleIntercept")
    return data, words


def _refuse_mixture(slices: Sequence[Slice]) -> None:
    first = slices[0]
    for one in slices[1:]:
        for what, same in (
            ("series (0020,000E)", one.series == first.series),
            ("frame of reference (0020,0052)", one.frame == first.frame),
            ("rows and columns (0028,0010)", one.shape == first.shape),
            ("scanner (0008,1090)", one.scanner == first.scanner),
            (
                "position or pixel spacing in the plane (0020,0032), (0028,0030)",
                all(abs(a - b) <= _EVEN / 10 for a, b in zip(one.plane, first.plane, strict=True)),
            ),
        ):
            if not same:
                raise DicomProblem(
                    f"the CT slices {shown(first.path.name)} and {shown(one.path.name)} differ in their {what}",
                    "Put one planning CT into the case, whole and alone.",
                    "ct.mixture",
                )


def _refuse_gaps(slices: Sequence[Slice]) -> None:
    """Every slice stands where even spacing puts it."""
    pairs = list(itertools.pairwise(slices))
    for before, after in pairs:
        if after.z - before.z <= _EVEN:
            raise DicomProblem(
                f"two CT slices stand at z = {after.z:g} mm: {shown(before.path.name)} and {shown(after.path.name)}",
                "Put one planning CT into the case, whole and alone.",
                "ct.double_slice",
            )
    step = sorted(after.z - before.z for before, after in pairs)[len(pairs) // 2]
    for before, after in pairs:
        here = after.z - before.z
        if abs(here - step) <= _EVEN:
            continue
        missing = round(here / step) - 1
        if missing > 0 and abs(here - (missing + 1) * step) <= _EVEN * (missing + 1):
            raise DicomProblem(
                f"the CT has a gap: {missing} slice{'s' if missing > 1 else ''} missing between z = {before.z:g} mm "
                f"and z = {after.z:g} mm (one every {step:g} mm), first at z = {before.z + step:g} mm",
                _MEND,
                "ct.missing_slice",
            )
        raise DicomProblem(
            f"the CT is unevenly spaced: {here:g} mm between z = {before.z:g} mm and z = {after.z:g} mm, "
            f"{step:g} mm elsewhere",
            _MEND,
            "ct.spacing",
        )


def _grid(slices: Sequence[Slice]) -> Grid:
    first, last = slices[0], slices[-1]
    x, y, down, across = first.plane
    return Grid(
        shape=(len(slices), *first.shape),
        origin=(x, y, first.z),
        spacing=(across, down, (last.z - first.z) / (len(slices) - 1)),
    )


def _hounsfield(path: Path, limits: Limits | None) -> NDArray[np.float32]:
    import numpy as np

    with open_dicom(path, limits or Limits()) as opened:
        if opened is None:
            raise DicomProblem(f"{shown(path.name)} is no longer a DICOM file", _MEND)
        spans = opened.spans()
        data = opened.parse(spans, _TAGS)
        words = Words(opened.name)
        layout = (data.BitsAllocated, data.HighBit + 1 - data.BitsStored, data.get("SamplesPerPixel", 1))
        if layout != (16, 0, 1) or data.PhotometricInterpretation != "MONOCHROME2":
            raise words.problem("its pixels are not 16 bit greyscale (0028,0100)", "ct.pixels", _MEND)
        raw = opened.pixels(spans, 2 * data.Rows * data.Columns)
        spare = 16 - int(data.BitsStored)  # bits above the stored ones may hold anything
        kind = np.int16 if data.PixelRepresentation else np.uint16
        stored = (np.frombuffer(raw, dtype="<u2") << spare).view(kind) >> spare
        hu = stored.astype(np.float32) * np.float32(data.RescaleSlope) + np.float32(data.RescaleIntercept)
        return np.asarray(hu.reshape(data.Rows, data.Columns), dtype=np.float32)
