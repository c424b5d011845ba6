"""Reads an RTSTRUCT: the CT that it belongs to, and the structures that decide on densities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset

from mqi_communicator.dicom.collector import required_text, text
from mqi_communicator.dicom.contours import CORNERS, LEVEL, closed_outlines
from mqi_communicator.dicom.ct_extent import FARTHEST
from mqi_communicator.dicom.problem import DicomProblem, printable
from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.structure_references import (
    ct_slices_of,
    frames_of,
    names_images,
    series_of,
)
from mqi_communicator.dicom.walk import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_ELEMENTS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
    "RTROIObservationsSequence",
)

EXTERNAL, BOLUS = "EXTERNAL", "BOLUS"
BODY = frozenset({EXTERNAL, "SUPPORT", "FIXATION", BOLUS})
"""Values of RTROIInterpretedType (3006,00A4) within which planning systems compute."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A structure with physical properties (ROIPhysicalPropertiesSequence (3006,00B0)), which a planning system uses
    instead of the CT, or one of the kinds in `BODY`. `name` may contain anything that a user typed: never logged."""

    number: int  # ROINumber
    name: str
    kind: str  # RTROIInterpretedType (3006,00A4): EXTERNAL, SUPPORT, MARKER, ...; "" if not specified
    properties: tuple[tuple[str, float], ...]  # ROIPhysicalProperty and its value, relative to water or in eV
    contours: tuple[
        tuple[float, NDArray[np.float64]], ...
    ]  # closed ones: (z in mm, corners (n, 2) as x, y in mm), by z
    doubt: str = ""  # why `contours` do not determine its position

    @property
    def description(self) -> str:
        """The structure's name for messages."""
        return f"structure {self.number} ({printable(self.name)})" if self.name else f"structure {self.number}"


@dataclass(frozen=True, slots=True)
class StructureSet:
    """A structure set: identity, CT, and the structures that decide on densities."""

    sop_instance_uid: str
    frames: tuple[str, ...]  # Frame of Reference UIDs of its CT; several if ambiguous
    series_uids: tuple[str, ...]  # of its CT, if given
    ct_uids: tuple[str, ...]  # SOP Instance UIDs of the referenced CT slices; the series may have more
    rois: tuple[Roi, ...] = ()
    file: str = ""  # fit for a message

    @property
    def frame_of_reference_uid(self) -> str:
        """The frame of reference; "" if there are several."""
        return self.frames[0] if len(self.frames) == 1 else ""


def read_structures(path: Path, limits: Limits | None = None) -> StructureSet:
    """Read the structure set in `path`. Physical properties are described, not refused: engines decide on them.

    DicomProblem if it is something else, or has no frame of reference or refers to no CT slice.
    """
    with open_dicom(path, limits or Limits()) as opened:
        if opened is None or opened.sop_class_uid != _STRUCTURE_SET:
            raise DicomProblem(f"{printable(path.name)} is not an RT Structure Set", "Export the structure set again.")
        data = _parsed(opened)
        frames, slices = frames_of(data), ct_slices_of(data)
        if not slices:
            raise DicomProblem(
                f"{opened.name} refers to no CT slice, neither for a frame of reference of its structures (3006,0010) "
                f"> "
                "(3006,0016) nor in a contour (3006,0039) > (3006,0016), so the CT cannot be checked for completeness",
                "Export the structure set with the references to its CT images.",
                "structures.no_ct",
            )
        if not frames:
            raise DicomProblem(
                f"{opened.name} has no frame of reference (3006,0010), expected that of its CT",
                "Export the structure set of the planning CT.",
                "structures.frames",
            )
        rois = tuple(_rois(data))
        return StructureSet(required_text(data, "SOPInstanceUID"), frames, series_of(data), slices, rois, opened.name)


def _parsed(opened: Opened) -> Dataset:
    """Parse the needed elements: contours, which may be large, only for images or structures that are returned."""
    spans = opened.spans()
    data = opened.parse(spans, _ELEMENTS)
    if any(_decides(item) for item in data.get("RTROIObservationsSequence") or ()) or not names_images(data):
        data = opened.parse(spans, (*_ELEMENTS, "ROIContourSequence"))
    return data


def _rois(data: Dataset) -> Iterable[Roi]:
    rois = {int(roi.ROINumber): roi for roi in data.get("StructureSetROISequence") or ()}
    frames = {"", *frames_of(data)}
    drawn = {int(item.ReferencedROINumber): item for item in data.get("ROIContourSequence") or ()}
    for item in data.get("RTROIObservationsSequence") or ():
        if _decides(item):
            number = int(item.ReferencedROINumber)
            roi = rois.get(number, Dataset())
            contours, doubt = _closed(drawn[number]) if number in drawn else ((), "")
            if text(roi, "ReferencedFrameOfReferenceUID") not in frames:
                doubt = "it is drawn in another frame of reference than the CT"
            yield Roi(number, text(roi, "ROIName"), _kind(item), _properties(item), contours, doubt)


def _decides(observation: Dataset) -> bool:
    return _kind(observation) in BODY or bool(_properties(observation))


def _kind(observation: Dataset) -> str:
    return text(observation, "RTROIInterpretedType")


def _properties(observation: Dataset) -> tuple[tuple[str, float], ...]:
    """Return each property with its value; NaN if it has none."""
    return tuple(
        (text(item, "ROIPhysicalProperty"), _number(item.get("ROIPhysicalPropertyValue")))
        for item in observation.get("ROIPhysicalPropertiesSequence") or ()
    )


def _number(value: object) -> float:
    return float("nan") if value is None or value == "" else float(str(value))


def _closed(drawn: Dataset) -> tuple[tuple[tuple[float, NDArray[np.float64]], ...], str]:
    """Return the closed contours by z, and why they do not determine the structure; "" if they do."""
    areas, doubt = [], ""
    try:
        for corners in closed_outlines(drawn):
            if not (np.abs(corners) < FARTHEST).all():  # so that NaN is far too
                doubt = f"a point of its contours is not within {FARTHEST:g} mm of the origin"
            elif len(corners) and np.ptp(corners[:, 2]) > LEVEL:
                doubt = "its contours are not axial"
            elif len(corners) >= CORNERS:
                areas.append((float(corners[0, 2]), corners[:, :2].copy()))
    except (ValueError, TypeError, AttributeError):
        doubt = "ContourData (3006,0050) of one of its contours is not a list of points x, y, z"
    return tuple(sorted(areas, key=lambda area: area[0])), doubt
