"""A bounded walk over the elements of a DICOM stream: where each one is, and whether the file is complete.

It reads element headers and skips values, so that a file which declares four gigabytes, nests a thousand sequences
or ends in the middle is recognized before anything is allocated (DICOM PS3.5 section 7).
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from pydicom.datadict import dictionary_VR

from mqi_communicator.dicom.problem import TRUNCATED, DicomProblem

PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MARKS = 0xFFFE
_HEADER = struct.Struct("<HHL")
_WINDOW = 1 << 14  # bytes read at once: a header needs 12, and most elements are short
_LONGEST_HEADER = 12
_PARSING = 10  # what it costs to parse one element, in elements walked over
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS"}
    | {b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)


@dataclass(slots=True)
class Budget:
    """The total reading cost allowed for all files of a case: 1 per element skipped, 10 per element parsed, 1 per KiB
    parsed. Reading itself spends it, so that it holds for any order of files.
    """

    elements: int
    spent: int = 0

    def spend(self, elements: int) -> None:
        """Spend from the budget. DicomProblem if it is exhausted."""
        self.spent += elements
        if self.spent > self.elements:
            raise DicomProblem(
                f"reading the files of the case takes more than the {self.elements} elements allowed by "
                f"intake.max_case_elements",
                "Put one case into each folder and check where its files come from; raise intake.max_case_elements if "
                "cases of your centre are that large.",
                "dicom.budget",
            )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on reading one DICOM file. The defaults allow the largest CT, plan and dose of a centre."""

    file_bytes: int = 2 << 30
    elements: int = 3_000_000
    depth: int = 16  # sequences within sequences
    parsed_bytes: int = 256 << 20  # of the elements that are parsed; pixels are not
    budget: Budget | None = None  # shared by all files of a case


class Span(NamedTuple):
    """The position of one top-level element in the file: its first byte, its value's first byte, and its end.

    `elements`: the number of elements in it, including itself.
    """

    begin: int
    value: int
    end: int
    elements: int = 1
    encapsulated: bool = False

    @property
    def cost(self) -> int:
        """The cost of parsing it."""
        return _PARSING * self.elements + (self.end - self.begin >> 10)


class _Head(NamedTuple):
    """The header of one element; `length` is -1 if undefined."""

    tag: int
    vr: bytes
    length: int
    value: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """An open sequence or item: its end (-1: at its delimiter), and its upper limit."""

    end: int
    limit: int
    item: bool
    explicit: bool


@dataclass(slots=True)
class Walk:
    """A walk over an open file of `size` bytes. Every method raises DicomProblem if the file is damaged."""

    file: BinaryIO
    size: int
    limits: Limits
    name: str  # of the file, fit for a message
    _seen: int = 0
    _window: bytes = b""
    _from: int = 0  # the position in the file at which the window begins

    def spans(self, start: int, *, explicit: bool) -> dict[int, Span]:
        """Return every top-level element by tag, from `start` to the end of the file or to compressed pixels."""
        spans: dict[int, Span] = {}
        position = start
        while position < self.size:
            before = self._seen
            head = self.head(position, self.size, explicit=explicit)
            if head.tag in spans or head.tag >> 16 == _MARKS:
                raise self._damaged(position)
            if head.tag == PIXEL_DATA and head.length < 0:
                spans[head.tag] = Span(position, head.value, self.size, encapsulated=True)
                break
            end = self._end(head, explicit=explicit)
            spans[head.tag] = Span(position, head.value, end, self._seen - before)
            position = end
        return spans

    def head(self, position: int, limit: int, *, explicit: bool) -> _Head:
        """Read the element header at `position`; neither header nor value may extend beyond `limit`."""
        self._count()
        at = position - self._from
        if not 0 <= at <= len(self._window) - _LONGEST_HEADER:
            self._load(position)
            at = 0
        window = self._window
        left = len(window) - at
        if position + 8 > limit or left < 8:  # noqa: PLR2004 - the shortest header
            raise self._cut(position, limit)
        group, element, length = _HEADER.unpack_from(window, at)
        tag, vr, value = group << 16 | element, b"", position + 8
        if explicit and group != _MARKS:
            vr = window[at + 4 : at + 6]
            if vr in _LONG:
                if position + _LONGEST_HEADER > limit or left < _LONGEST_HEADER:
                    raise self._cut(position, limit)
                (length,) = struct.unpack_from("<L", window, at + 8)
                value = position + 12
            elif vr in SHORT_VRS:
                (length,) = struct.unpack_from("<H", window, at + 6)
            else:
                raise self._damaged(position)
        if length == _UNDEFINED:
            return _Head(tag, vr, -1, value)
        if value + length > limit:
            raise self._cut(position, limit, tag, length)
        return _Head(tag, vr, length, value)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > self.limits.elements:
            raise self._bomb(f"more than {self.limits.elements} elements")
        if self.limits.budget is not None:
            self.limits.budget.spend(1)

    def _load(self, position: int) -> None:
        self.file.seek(position)
        self._window, self._from = self.file.read(_WINDOW), position

    def _end(self, head: _Head, *, explicit: bool) -> int:
        """Return the end of one element, found by walking through it if it is a sequence."""
        if not _is_sequence(head):
            return head.value + head.length
        stack = [self._frame(head, self.size, item=False, explicit=explicit)]
        position = head.value
        while stack:
            frame = stack[-1]
            if position == frame.end:
                stack.pop()
                continue
            inner = self.head(position, frame.limit, explicit=frame.explicit)
            if inner.tag in (_ITEM_END, _SEQUENCE_END):
                if frame.end >= 0 or frame.item is not (inner.tag == _ITEM_END):
                    raise self._damaged(position)
                stack.pop()
            elif frame.item is (inner.tag == _ITEM):  # sequences contain items, items contain elements
                raise self._damaged(position)
            elif inner.tag == _ITEM or _is_sequence(inner):
                if len(stack) >= 2 * self.limits.depth:
                    raise self._bomb(f"sequences nested more than {self.limits.depth} deep")
                stack.append(self._frame(inner, frame.limit, item=inner.tag == _ITEM, explicit=frame.explicit))
            else:
                position = inner.value + inner.length
                continue
            position = inner.value
        return position

    def _frame(self, head: _Head, limit: int, *, item: bool, explicit: bool) -> _Frame:
        if head.length < 0:
            return _Frame(-1, limit, item, explicit and head.vr != b"UN")  # UN of undefined length is implicit inside
        end = head.value + head.length
        return _Frame(end, end, item, explicit)

    def _cut(self, position: int, limit: int, tag: int = 0, length: int = 0) -> DicomProblem:
        if limit < self.size:
            return self._damaged(position)
        what = f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) declares {length} bytes, " if tag else ""
        return DicomProblem(
            f"{self.name} ends early: {what}the file has {self.size} bytes",
            "Copy the file again; export it again if the original is as short.",
            TRUNCATED,
        )

    def _damaged(self, position: int) -> DicomProblem:
        return DicomProblem(
            f"{self.name} is damaged: byte {position} does not begin a DICOM element",
            "Export the file again.",
            "dicom.damaged",
        )

    def _bomb(self, what: str) -> DicomProblem:
        return DicomProblem(
            f"{self.name} has {what}, which no CT, plan, structure set or dose has",
            "Check where the file comes from; export it again if it belongs to the case.",
            "dicom.bomb",
        )


def _is_sequence(head: _Head) -> bool:
    if head.length < 0 or head.vr == b"SQ":
        return True
    return not head.vr and _known_sequence(head.tag)


@functools.lru_cache(maxsize=4096)
def _known_sequence(tag: int) -> bool:
    try:
        return bool(dictionary_VR(tag) == "SQ")
    except KeyError:  # private, or newer than the dictionary: skipped unread
        return False
