"""Opens untrusted DICOM files: what the file is, whether it is complete, and selected elements."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from mqi_communicator.dicom.problem import EMPTY, NOT_DICOM, DicomProblem, printable
from mqi_communicator.dicom.walk import PIXEL_DATA, SHORT_VRS, Limits, Span, Walk

if TYPE_CHECKING:
    from pydicom import Dataset

_MARK = 128  # offset of the letters DICM (PS3.10 section 7.1)
_BODY = 132
_META, _IDENTIFYING = 0x0002, 0x0008
_SOP_CLASS, _SOP_INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_OWN_CLASS, _OWN_INSTANCE = 0x00080016, 0x00080018  # the same in the data set (PS3.3 C.12.1)
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNREADABLE = {
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "big endian",
}
_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_LONGEST_UID = 64
_FIRST_ELEMENT, _FIRST_LENGTH = 0x0018, 256  # of a data set without preamble, at most: up to its SOP Instance UID


@dataclass(frozen=True, slots=True)
class Opened:
    """A DICOM file whose beginning was read: which object it claims to be, and how its body is encoded."""

    path: Path
    file: BinaryIO
    size: int  # bytes
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    body: int  # where the data set begins
    limits: Limits

    @property
    def name(self) -> str:
        """The file's name, fit for a message."""
        return printable(self.path.name)

    def spans(self) -> dict[int, Span]:
        """Locate each top-level element. DicomProblem if the file is truncated, damaged, a bomb or unsupported."""
        if self.size > self.limits.file_bytes:
            raise DicomProblem(
                f"{self.name} is {self.size / 1e6:.4g} MB, more than the {self.limits.file_bytes / 1e6:.4g} MB allowed",
                "Raise intake.max_file_bytes if files of your centre are that large.",
                "dicom.too_large",
            )
        if self.transfer_syntax in _UNREADABLE:
            raise unreadable(self.name, self.transfer_syntax)
        walk = Walk(self.file, self.size, self.limits, self.name)
        return walk.spans(self.body, explicit=self.transfer_syntax != _IMPLICIT)

    def parse(self, spans: dict[int, Span], elements: Iterable[str | int]) -> Dataset:
        """Read the named top-level elements that are present, and nothing else of the file, as a pydicom data set.

        An element is named by its DICOM keyword or its tag. ValueError for a keyword that DICOM does not have.
        """
        tags = sorted({Tag(element) for element in ("SpecificCharacterSet", *elements)})
        wanted = [spans[tag] for tag in tags if tag in spans]
        if sum(span.end - span.begin for span in wanted) > self.limits.parsed_bytes:
            raise DicomProblem(
                f"{self.name} has more than {self.limits.parsed_bytes >> 20} MB outside its pixels",
                "Check where the file comes from; export it again if it belongs to the case.",
                "dicom.bomb",
            )
        if self.limits.budget is not None:
            self.limits.budget.spend(sum(span.cost for span in wanted))
        return read_dataset(io.BytesIO(b"".join(map(self._bytes, wanted))), self.transfer_syntax == _IMPLICIT, True)  # noqa: FBT003 - pydicom's own order

    def pixels(self, spans: dict[int, Span], length: int) -> bytes:
        """Read the uncompressed value of PixelData, exactly `length` bytes (one byte of padding is allowed)."""
        self.file.seek(self.check_pixels(spans, length))
        return self.file.read(length)

    def check_pixels(self, spans: dict[int, Span], length: int) -> int:
        """Return the offset of PixelData in the file. DicomProblem if it is compressed, or not of `length` bytes."""
        if self.transfer_syntax not in (_IMPLICIT, _EXPLICIT):
            raise unreadable(self.name, self.transfer_syntax)
        span = spans.get(PIXEL_DATA)
        found = span.end - span.value if span else 0
        if span is None or not length <= found <= length + 1:
            raise DicomProblem(
                f"{self.name}: PixelData (7FE0,0010) has {found} bytes, expected {length} from its rows, columns and "
                f"frames",
                "Export the file again.",
                "dicom.pixels",
            )
        return span.value

    def _bytes(self, span: Span) -> bytes:
        self.file.seek(span.begin)
        return self.file.read(span.end - span.begin)


def unreadable(name: str, syntax: str) -> DicomProblem:
    """Return the refusal of a transfer syntax."""
    how = _UNREADABLE.get(syntax) or f"compressed ({UID(syntax).name})"
    return DicomProblem(
        f"{name} is {how}, transfer syntax {syntax}; expected uncompressed little endian",
        "Export it uncompressed: Explicit VR Little Endian or Implicit VR Little Endian.",
        "dicom.transfer_syntax",
    )


@contextlib.contextmanager
def open_dicom(path: Path, limits: Limits) -> Iterator[Opened | None]:
    """Open a regular file, never a link, a pipe or a device, and read its beginning.

    Yields None for a file that neither is DICOM nor claims to be by its name. DicomProblem for one that claims to be
    but is not; OSError as the system raises it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file, translate_errors(path):  # noqa: PTH123 - opened above, with flags that Path.open lacks
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise DicomProblem(f"{printable(path.name)} is not a regular file", "Remove it.", "dicom.not_a_file")
        yield _begin(path, file, state.st_size, limits)


@contextlib.contextmanager
def open_bytes(name: str, data: bytes, limits: Limits) -> Iterator[Opened | None]:
    """Do the same for a file that is in memory."""
    path = Path(name)
    with translate_errors(path):
        yield _begin(path, io.BytesIO(data), len(data), limits)


def _begin(path: Path, file: BinaryIO, size: int, limits: Limits) -> Opened | None:
    """Read what the file claims to be. Preamble and file meta information may be missing: the data set has it too."""
    name = printable(path.name)
    start = _start(file)
    if start is None:
        file.seek(0)
        if problem := _not_dicom(path, file.read(_BODY), name):
            raise problem
        return None
    walk = Walk(file, size, limits, name)
    meta, body = _elements(walk, start, {_META}, explicit=True)
    syntax = _uid(meta, _SYNTAX) or _guessed_syntax(file, body)
    kind, instance = _uid(meta, _SOP_CLASS), _uid(meta, _SOP_INSTANCE)
    if not kind and syntax not in _UNREADABLE:
        own, _ = _elements(walk, body, {_IDENTIFYING}, explicit=syntax != _IMPLICIT, last=_OWN_INSTANCE)
        kind, instance = _uid(own, _OWN_CLASS), _uid(own, _OWN_INSTANCE)
    return Opened(path, file, size, kind, instance, syntax, body, limits)


def _start(file: BinaryIO) -> int | None:
    """Return where the first element begins: after DICM, or at byte 0 if it looks like one of group 0002 or 0008."""
    head = file.read(_BODY)
    if head[_MARK:] == b"DICM":
        return _BODY
    if len(head) < _BODY:
        return None
    group, element, length = struct.unpack_from("<HHL", head)
    explicit = head[4:6] in SHORT_VRS
    plausible = group in (_META, _IDENTIFYING) and element <= _FIRST_ELEMENT and (explicit or length <= _FIRST_LENGTH)
    return 0 if plausible else None


def _guessed_syntax(file: BinaryIO, body: int) -> str:
    """Return explicit or implicit little endian, by whether the first element of the data set has a VR."""
    file.seek(body + 4)
    return _EXPLICIT if file.read(2) in SHORT_VRS else _IMPLICIT


def _elements(
    walk: Walk, position: int, groups: set[int], *, explicit: bool, last: int = 0xFFFFFFFF
) -> tuple[dict[int, str], int]:
    """Return the beginnings of the values of these groups' elements up to the tag `last`, and the next offset."""
    values: dict[int, str] = {}
    while position < walk.size:
        walk.file.seek(position)
        group, element = struct.unpack("<HH", (walk.file.read(4) + b"\0\0\0\0")[:4])
        if group not in groups or group << 16 | element > last:
            break
        found = walk.head(position, walk.size, explicit=explicit)
        if found.length < 0:
            raise DicomProblem(
                f"{walk.name} is damaged: its file meta information has an element of undefined length",
                "Export the file again.",
            )
        walk.file.seek(found.value)
        values[found.tag] = walk.file.read(min(found.length, _LONGEST_UID)).decode("ascii", "replace")
        position = found.value + found.length
    return values, position


def _uid(values: dict[int, str], tag: int) -> str:
    return values.get(tag, "").strip("\0 ")


def _not_dicom(path: Path, head: bytes, name: str) -> DicomProblem | None:
    """Return why a file without the DICM mark is a problem; None if it does not claim to be DICOM."""
    suffix = path.suffix.lower()
    claims = suffix in _SUFFIXES
    numbered = suffix[1:].isdigit()  # CT.1.2.840.7
    if not head and (claims or numbered):
        return DicomProblem(f"{name} is empty (0 bytes)", "Copy the file again.", EMPTY)
    if head and not head.strip(b"\0") and (claims or numbered or not suffix):
        return DicomProblem(f"{name} contains only zeros so far", "Copy the file again.", EMPTY)
    if claims:
        return DicomProblem(
            f"{name} is not a DICOM file despite its name (no DICM mark at byte {_MARK})",
            "Remove it from the case, or export it again if it should be a DICOM file.",
            NOT_DICOM,
        )
    return None


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise errors of reading an invalid value as DicomProblem, and suppress pydicom's warnings, which quote values
    such as a patient's name.
    """
    broken = (ValueError, KeyError, AttributeError, TypeError, IndexError, ArithmeticError, EOFError, struct.error)
    refused = (BytesLengthException, InvalidDicomError, NotImplementedError, RecursionError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (*broken, *refused) as error:
        raise DicomProblem(
            f"{printable(path.name)} is damaged: an element has an unreadable value ({type(error).__name__})",
            "Export the file again.",
            "dicom.damaged",
        ) from None
    except MemoryError:
        raise DicomProblem(
            f"{printable(path.name)} needs more memory than a case is allowed",
            "Check where the file comes from; raise the memory limit if files of your centre are that large.",
            "dicom.too_large",
        ) from None
