"""Reads one CT slice: its place in the patient system, and its Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.axes import Axes, Three
from mqi_communicator.dicom.collector import Collector, required_text, tagged, text
from mqi_communicator.dicom.ct_extent import check_extent
from mqi_communicator.dicom.header import CT_IMAGE
from mqi_communicator.dicom.positions import KNOWN, POSITIONS
from mqi_communicator.dicom.problem import DicomProblem, Problem, printable
from mqi_communicator.dicom.reading import open_dicom, unreadable
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
    "KVP",
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
_SCANNER = ("Manufacturer", "ManufacturerModelName", "StationName")
EXPORT_AGAIN = "Export the complete, unmodified planning CT again."


@dataclass(frozen=True, slots=True)
class Slice:
    """One CT slice without its pixels. Slices of one volume differ only in `path`, `uid` and `at`."""

    path: Path
    uid: str
    axes: Axes  # of the image: along a row, along a column, across the slice
    first: Three  # centre of the first pixel, mm
    spacing: tuple[float, float]  # mm between rows, and between columns
    shape: tuple[int, int]  # rows, columns
    series: str
    frame: str
    scanner: str
    position: str  # PatientPosition, "" where it is missing
    kvp: float | None  # kV, None where it is missing

    @property
    def normal(self) -> str:
        """The axis of the patient system that the slice is perpendicular to: x, y or z."""
        return "xyz"[self.axes.of[2]]

    @property
    def at(self) -> float:
        """The slice's coordinate on that axis, in mm."""
        return self.first[self.axes.of[2]]

    @property
    def corner(self) -> tuple[float, float]:
        """The first pixel's coordinates on the other two axes, in mm."""
        return self.first[self.axes.of[0]], self.first[self.axes.of[1]]


def read_slice(path: Path, limits: Limits | None) -> tuple[Slice | None, list[Problem]]:
    """Read a slice without its pixels, and its problems; None if it is oblique. DicomProblem if it is no CT slice."""
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
        axes = _axes(data, collector)
        x, y, z = collector.numbers(data, "ImagePositionPatient", 3)
        down, across = collector.numbers(data, "PixelSpacing", 2)
        shape = (collector.whole(data, "Rows"), collector.whole(data, "Columns"))
        check_extent(((x, y, z), (down, across), shape), collector)
        if axes is None:
            return None, collector.problems
        one = Slice(
            path=path,
            uid=required_text(data, "SOPInstanceUID"),
            axes=axes,
            first=(x, y, z),
            spacing=(down, across),
            shape=shape,
            series=text(data, "SeriesInstanceUID"),
            frame=text(data, "FrameOfReferenceUID"),
            scanner="|".join(text(data, keyword) for keyword in _SCANNER),
            position=text(data, "PatientPosition"),
            kvp=_tube_voltage(data),
        )
        return one, collector.problems


def _tube_voltage(data: Dataset) -> float | None:
    value = data.get("KVP")  # type 2: may be empty (PS3.3 C.8.2.1)
    return None if value is None or value == "" else float(value)


def _check_header(data: Dataset, collector: Collector) -> None:
    """Check that a slice is in Hounsfield units, and of a known patient position or none."""
    if int(data.get("NumberOfFrames") or 1) != 1:
        raise collector.problem("multi-frame CT is not supported", "ct.not_a_slice", "Export one file per slice.")
    position = text(data, "PatientPosition")
    if position and position not in POSITIONS:
        collector.add(
            "ct.position",
            printable(position),
            tag=tagged("PatientPosition"),
            expected=KNOWN,
            advice="This CT cannot be used here.",
        )
    if (kind := text(data, "RescaleType", "HU")) != "HU":
        collector.add("ct.rescale", printable(kind), tag=tagged("RescaleType"), expected="HU", advice=EXPORT_AGAIN)
    collector.number(data, "RescaleSlope")
    collector.number(data, "RescaleIntercept")


def _axes(data: Dataset, collector: Collector) -> Axes | None:
    direction = collector.numbers(data, "ImageOrientationPatient", 6)
    axes = Axes.of_image(direction)
    if axes is None:
        collector.add(
            "ct.orientation",
            f"{[*direction]}",
            tag=tagged("ImageOrientationPatient"),
            expected="rows and columns along the patient's axes (slices that are not oblique)",
            advice=EXPORT_AGAIN,
        )
    return axes


def hounsfield(path: Path, limits: Limits | None) -> NDArray[np.float32]:
    """Read the pixels of a slice [row, column] in HU. DicomProblem for pixels that are not as the header says."""
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None:
            raise DicomProblem(f"{printable(path.name)} is no longer a DICOM file", EXPORT_AGAIN)
        spans = opened.spans()
        data = opened.parse(spans, _ELEMENTS)
        collector = Collector(opened.name)
        layout = (data.BitsAllocated, data.HighBit + 1 - data.BitsStored, data.get("SamplesPerPixel", 1))
        if layout != (16, 0, 1) or data.PhotometricInterpretation != "MONOCHROME2":
            raise collector.problem("the pixels are not 16 bit greyscale (0028,0100)", "ct.pixels", EXPORT_AGAIN)
        raw = opened.pixels(spans, 2 * data.Rows * data.Columns)
        spare = 16 - int(data.BitsStored)  # bits above the stored ones may hold anything
        kind = np.int16 if data.PixelRepresentation else np.uint16
        stored = (np.frombuffer(raw, dtype="<u2") << spare).view(kind) >> spare
        hu = stored.astype(np.float32) * np.float32(data.RescaleSlope) + np.float32(data.RescaleIntercept)
        return np.asarray(hu.reshape(data.Rows, data.Columns), dtype=np.float32)
