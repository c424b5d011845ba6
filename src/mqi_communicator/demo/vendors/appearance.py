"""How the files of a system look: who made them, their UIDs, their names, their transfer syntax, their CT positions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.multival import MultiValue

from mqi_communicator.demo.sample_case import Draft, Writer

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_OURS = "2.25."
_WHOLE = {"StudyInstanceUID": "study", "SeriesInstanceUID": "series", "FrameOfReferenceUID": "frame"}
_IMAGES = ("CT", "MR")
_JITTER = (0.0, 0.02, -0.01, 0.0149, -0.02)  # mm, slice after slice


@dataclass(frozen=True, slots=True)
class Appearance:
    """The look of all files of one system's export."""

    manufacturer: str  # of plan, structure set and doses; images keep their scanner's
    model: str
    software: str | list[str]
    writer: Writer
    uid: Callable[[str, str], str]  # from what it identifies (study, series, frame or a modality) and the sample's UID
    file_name: Callable[[str, str], str]  # from modality and SOP Instance UID


def digits(of: str, count: int) -> str:
    """So many decimal digits, the first of them not 0, that depend on `of` alone."""
    lowest = 10 ** (count - 1)
    return str(lowest + int(hashlib.sha256(of.encode()).hexdigest(), 16) % (9 * lowest))


def dress(draft: Draft, look: Appearance) -> None:
    """Give all objects of a case this look. Call it last: it renames the files."""
    for ds in draft.objects():
        if ds.Modality not in _IMAGES:
            ds.Manufacturer, ds.ManufacturerModelName = look.manufacturer, look.model
            ds.SoftwareVersions = look.software
            for keyword in ("StationName", "DeviceSerialNumber"):
                ds.pop(keyword, None)
    draft.writer = look.writer
    _jitter(draft)
    _change_uids(draft, look.uid)
    for name, ds in sorted((name, ds) for name, ds in draft.files.items() if not isinstance(ds, bytes)):
        draft.rename(name, look.file_name(str(ds.Modality), str(ds.SOPInstanceUID)))


def _jitter(draft: Draft) -> None:
    """Move the CT slices by up to 0.02 mm, as real series have it; the contours stay."""
    for index, ds in enumerate(draft.objects("CT.")):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, f"{float(z) + _JITTER[index % len(_JITTER)]:.{3 + index % 2}f}"]


def _change_uids(draft: Draft, uid: Callable[[str, str], str]) -> None:
    kinds: dict[str, str] = {}
    for ds in draft.objects():
        kinds |= {str(ds[keyword].value): kind for keyword, kind in _WHOLE.items() if keyword in ds}
        kinds[str(ds.SOPInstanceUID)] = str(ds.Modality)
    for ds in draft.objects():
        _change(ds, kinds, uid)


def _change(ds: Dataset, kinds: Mapping[str, str], uid: Callable[[str, str], str]) -> None:
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _change(item, kinds, uid)
        elif element.VR == "UI" and not isinstance(element.value, MultiValue):
            old = str(element.value)
            kind = kinds.get(old, "other")
            if old.startswith(_OURS) and kind not in _IMAGES:  # images keep those of their scanner
                element.value = uid(kind, old)
