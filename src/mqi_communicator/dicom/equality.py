"""Compares two DICOM objects by their data sets, regardless of the file encoding."""

from __future__ import annotations

import filecmp
from pathlib import Path

from mqi_communicator.dicom.reading import Opened, open_dicom
from mqi_communicator.dicom.walk import Limits

_CHUNK = 1 << 20  # bytes


def same_object(one: Path, other: Path, limits: Limits | None = None) -> bool:
    """Return whether the data sets are equal: byte by byte in one transfer syntax, else element by element.

    Preamble and file meta information (PS3.10 section 7.1), in which exports of one object differ, do not count.
    OSError and DicomProblem as `open_dicom` raises them.
    """
    if filecmp.cmp(one, other, shallow=False):
        return True
    limits = limits or Limits()
    with open_dicom(one, limits) as a, open_dicom(other, limits) as b:
        if a is None or b is None:
            return False
        if a.transfer_syntax == b.transfer_syntax:
            return _same_bytes(a, b)
        return bool(_elements(a) == _elements(b))


def _same_bytes(a: Opened, b: Opened) -> bool:
    if a.size - a.body != b.size - b.body:
        return False
    a.file.seek(a.body)
    b.file.seek(b.body)
    while chunk := a.file.read(_CHUNK):
        if chunk != b.file.read(_CHUNK):
            return False
    return True


def _elements(opened: Opened) -> object:
    spans = opened.spans()
    return opened.parse(spans, spans)
