"""Reads an RTDOSE: a dose in Gy in the patient system, of a plan or of one beam (PS3.3 C.8.8.3).

Rows, columns and frames may be along any of the patient's axes, in either direction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.visible import visible
from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.collector import Collector, required_text, tagged, text
from mqi_communicator.dicom.lattice import box_near, part_of
from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.problem import DicomProblem, printable
from mqi_communicator.dicom.reading import Opened, open_dicom, unreadable
from mqi_communicator.dicom.records import Dose, DoseType, Grid
from mqi_communicator.dicom.walk import PIXEL_DATA, Limits, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
_ELEMENTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Manufacturer",
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
    "PixelRepresentation",
    "DoseUnits",
    "DoseType",
    "DoseSummationType",
    "GridFrameOffsetVector",
    "DoseGridScaling",
    "TissueHeterogeneityCorrection",
    "ReferencedRTPlanSequence",
)
_EVEN = 0.01  # mm
_OWN_BITS = 16  # of the doses that `rtdose_writer` writes
_WHOLE_PLAN = frozenset({"PLAN", "FRACTION"})  # FRACTION: one fraction *group*; plans here have only one
_ADVICE = "Export the dose again from the treatment planning system."


@dataclass(frozen=True, slots=True)
class DoseFacts:
    """The elements of an RTDOSE. `dose_type` may be wrong: the site states its dose conventions."""

    sop_instance_uid: str
    plan_uid: str
    frame_of_reference_uid: str
    manufacturer: str
    dose_type: str  # PHYSICAL or EFFECTIVE, as written in (3004,0004)
    summation: str  # PLAN, FRACTION or BEAM, (3004,000A)
    beam_number: int | None  # None: the whole plan
    heterogeneity: tuple[str, ...]  # (3004,0014): IMAGE, ROI_OVERRIDE, WATER
    grid: Grid


def dose_facts(path: Path, limits: Limits | None = None) -> DoseFacts:
    """Read everything but the dose. DicomProblem for what `read_rtdose` would refuse, except pixel values."""
    with open_dicom(path, limits or Limits()) as opened:
        facts, *_ = _facts(opened, path)
        return facts


def read_part(path: Path, dose_type: DoseType, points: NDArray[np.float64], margin: float) -> Dose:
    """Read the part of a dose that was written by this program within `margin` mm of the box that holds `points`.

    The file is mapped into memory, so that only that part of it is read. All of it if they do not overlap.
    """
    with open_dicom(path, Limits()) as opened:
        facts, data, spans, frames = _facts(opened, path)
        assert opened is not None  # noqa: S101 - _facts refuses it
        nz, ny, nx = frames.grid.shape
        if frames.axes != POSITIONS["HFS"] or frames.falling or _bits(data, Collector(opened.name)) != _OWN_BITS:
            raise Collector(opened.name).problem("the dose was not written by this program", "dose.grid", _ADVICE)
        place = opened.check_pixels(spans, nz * ny * nx * _OWN_BITS // 8)
        stored = np.memmap(path, dtype="<u2", mode="r", offset=place, shape=(nz, ny, nx))
    cuts = box_near(facts.grid, points, margin)
    part = np.asarray(stored) if cuts is None else np.asarray(stored)[cuts]
    scaling = np.float64(data.DoseGridScaling)
    gy = np.empty(part.shape, dtype=np.float32)
    for plane, values in zip(gy, part, strict=True):
        plane[:] = values * scaling
    gy.setflags(write=False)
    grid = facts.grid if cuts is None else part_of(facts.grid, cuts)
    return Dose(grid=grid, gy=gy, dose_type=dose_type, beam_number=facts.beam_number)


def read_rtdose(path: Path, dose_type: DoseType, limits: Limits | None = None) -> Dose:
    """Read the dose in Gy, float32, [z, y, x] with z ascending; `dose_type` comes from the caller."""
    with open_dicom(path, limits or Limits()) as opened:
        facts, data, spans, frames = _facts(opened, path)
        assert opened is not None  # noqa: S101 - _facts refuses it
        stored = _dose(opened, data, spans, frames.grid.shape)
        gy = np.ascontiguousarray(frames.axes.inverse.array(stored[::-1] if frames.falling else stored))
        if not gy.max() > 0:
            raise Collector(opened.name).problem("the dose is zero everywhere", "dose.zero", _ADVICE)
        gy.setflags(write=False)
        return Dose(grid=facts.grid, gy=gy, dose_type=dose_type, beam_number=facts.beam_number)


def _facts(opened: Opened | None, path: Path) -> tuple[DoseFacts, Dataset, dict[int, Span], _Frames]:
    if opened is None or opened.sop_class_uid != _RT_DOSE:
        raise DicomProblem(f"{printable(path.name)} is not an RT Dose", _ADVICE, "dose.not_a_dose")
    if opened.transfer_syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        raise unreadable(opened.name, opened.transfer_syntax)
    spans = opened.spans()
    if PIXEL_DATA not in spans:
        raise DicomProblem(f"{opened.name} has no dose grid (7FE0,0010)", _ADVICE, "dose.no_grid")
    data, collector = opened.parse(spans, _ELEMENTS), Collector(opened.name)
    _refuse_other_units(data, collector)
    summation, plan, beam = _scope(data, collector)
    frames = _frames(data, collector)
    opened.check_pixels(spans, math.prod(frames.grid.shape) * _bits(data, collector) // 8)
    heterogeneity = data.get("TissueHeterogeneityCorrection") or ()
    facts = DoseFacts(
        sop_instance_uid=required_text(data, "SOPInstanceUID"),
        plan_uid=plan,
        frame_of_reference_uid=text(data, "FrameOfReferenceUID"),
        manufacturer=text(data, "Manufacturer"),
        dose_type=text(data, "DoseType"),
        summation=summation,
        beam_number=beam,
        heterogeneity=(visible(heterogeneity),)
        if isinstance(heterogeneity, str)
        else tuple(map(visible, heterogeneity)),
        grid=frames.axes.inverse.grid(frames.grid),
    )
    return facts, data, spans, frames


def _refuse_other_units(data: Dataset, collector: Collector) -> None:
    units, kind = text(data, "DoseUnits"), text(data, "DoseType")
    if units != "GY":
        raise collector.problem(
            f"{tagged('DoseUnits')} is {printable(units) or 'missing'}, expected GY",
            "dose.units",
            "Export the dose as absolute dose in Gy.",
        )
    if kind not in ("PHYSICAL", "EFFECTIVE"):
        raise collector.problem(
            f"{tagged('DoseType')} is {printable(kind) or 'missing'}, expected PHYSICAL or EFFECTIVE",
            "dose.type",
            _ADVICE,
        )


def _scope(data: Dataset, collector: Collector) -> tuple[str, str, int | None]:
    """(DoseSummationType, SOP Instance UID of the plan, beam number or None for the whole plan)."""
    summation = text(data, "DoseSummationType")
    plans = data.get("ReferencedRTPlanSequence", ())
    if len(plans) != 1:
        raise collector.problem(
            f"the dose refers to {len(plans)} plans (300C,0002), expected exactly 1", "dose.plan", _ADVICE
        )
    plan = required_text(plans[0], "ReferencedSOPInstanceUID")
    if summation in _WHOLE_PLAN:
        return summation, plan, None
    if summation != "BEAM":
        raise collector.problem(
            f"{tagged('DoseSummationType')} is {printable(summation) or 'missing'}, expected PLAN or BEAM",
            "dose.summation",
            "Export the dose of the plan, and the dose of each beam if you can.",
        )
    beams = {
        int(beam.ReferencedBeamNumber)
        for group in plans[0].get("ReferencedFractionGroupSequence", ())
        for beam in group.get("ReferencedBeamSequence", ())
    }
    if len(beams) != 1:
        raise collector.problem(
            f"the dose of a beam refers to {len(beams)} beams (300C,0006), expected exactly 1",
            "dose.beam",
            _ADVICE,
        )
    return summation, plan, beams.pop()


@dataclass(frozen=True, slots=True)
class _Frames:
    """How the pixels are stored: [frame, row, column]."""

    axes: Axes  # of the image
    grid: Grid  # in the image's system, frames by ascending position
    falling: bool  # whether they are stored by descending position


def _frames(data: Dataset, collector: Collector) -> _Frames:
    direction = collector.numbers(data, "ImageOrientationPatient", 6)
    axes = Axes.of_image(direction)
    if axes is None:
        raise collector.problem(
            f"{tagged('ImageOrientationPatient')} is {[*direction]}; expected rows and columns along the patient's "
            "axes (a dose grid that is not oblique)",
            "dose.orientation",
            _ADVICE,
        )
    x, y, z = collector.numbers(data, "ImagePositionPatient", 3)
    down, across = collector.numbers(data, "PixelSpacing", 2)
    right, below, first = axes.point((x, y, z))
    levels = _levels(data, first, collector, absolute=axes == POSITIONS["HFS"])
    shape = (len(levels), collector.whole(data, "Rows"), collector.whole(data, "Columns"))
    step = (levels[-1] - levels[0]) / (len(levels) - 1)
    even = all(abs(level - (levels[0] + k * step)) <= _EVEN for k, level in enumerate(levels))
    if not (even and step and down > 0 and across > 0):
        raise collector.problem(
            "the planes or pixels of the dose grid are not evenly spaced (3004,000C), (0028,0030)",
            "dose.grid",
            _ADVICE,
        )
    grid = Grid(shape, (right, below, min(levels[0], levels[-1])), (across, down, abs(step)))
    return _Frames(axes, grid, step < 0)


def _levels(data: Dataset, first: float, collector: Collector, *, absolute: bool) -> list[float]:
    """Return the place of every frame in mm, along the cross product of rows and columns (PS3.3 C.8.8.3.2).

    Offsets that begin with 0 are relative to the first frame, at `first`. They may be patient coordinates z instead
    if the grid is axial with x along its rows and y along its columns, `absolute`.
    """
    offsets = [float(value) for value in data.get("GridFrameOffsetVector") or ()]
    frames = collector.whole(data, "NumberOfFrames")
    if len(offsets) != frames or frames < 2:  # noqa: PLR2004 - a grid needs a spacing
        raise collector.problem(
            f"{tagged('GridFrameOffsetVector')} has {len(offsets)} values for {frames} frames, expected one for each "
            f"of at "
            "least 2",
            "dose.grid",
            _ADVICE,
        )
    if abs(offsets[0]) <= _EVEN:
        return [first + offset for offset in offsets]
    if absolute and abs(offsets[0] - first) <= _EVEN:
        return offsets
    expected = f"0 or the first plane's z = {first:g} mm" if absolute else "0 for a grid of this orientation"
    raise collector.problem(
        f"{tagged('GridFrameOffsetVector')} begins with {offsets[0]:g}, expected {expected}",
        "dose.grid",
        _ADVICE,
    )


def _bits(data: Dataset, collector: Collector) -> int:
    """Bits of one pixel: 16 or 32."""
    bits = collector.whole(data, "BitsAllocated")
    if (
        bits not in (16, 32)
        or data.get("SamplesPerPixel", 1) != 1
        or data.get("BitsStored", bits) != bits
        or data.get("PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2"
    ):
        raise collector.problem("the pixels are not 16 or 32 bit greyscale (0028,0100)", "dose.pixels", _ADVICE)
    return bits


def _dose(opened: Opened, data: Dataset, spans: dict[int, Span], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    collector = Collector(opened.name)
    bits = _bits(data, collector)
    scaling = collector.number(data, "DoseGridScaling")
    if scaling <= 0:
        raise collector.problem(
            f"{tagged('DoseGridScaling')} is {scaling:g}, expected more than 0", "dose.scaling", _ADVICE
        )
    raw = opened.pixels(spans, shape[0] * shape[1] * shape[2] * bits // 8)
    sign = "i" if data.get("PixelRepresentation", 0) else "u"
    stored = np.frombuffer(raw, dtype=f"<{sign}{bits // 8}").reshape(shape)
    if stored.min() < 0:
        raise collector.problem("the dose has negative values", "dose.negative", _ADVICE)
    gy = np.empty(shape, dtype=np.float32)
    for plane, values in zip(gy, stored, strict=True):  # a whole dose of a large grid in float64 would take 0.5 GB
        plane[:] = values * np.float64(scaling)
    return gy
