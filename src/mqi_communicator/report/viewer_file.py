"""The format of the viewer's file: a mark, the length of the header, the header as JSON, and the arrays. Standard
library only.

All numbers are little endian. The header and each array begin at a multiple of eight bytes; the header names type,
shape and offset (from the end of the header) of each array. It names case and judgement, so that a file is never shown
as that of another case.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

MARK = b"MQIVIEW1"
SUFFIX = ".bin"
_ALIGN = 8
_LONGEST = 64 << 20  # bytes of a header


def head(fields: Mapping[str, object]) -> bytes:
    """The beginning of a file with this header."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * padding(len(text))
    return MARK + struct.pack("<Q", len(text)) + text


def padding(length: int) -> int:
    """The bytes that are added to so many for the next array to begin where it may."""
    return -length % _ALIGN


def owner(file: BinaryIO) -> tuple[str, int]:
    """The case and the judgement that a file names. ValueError if it is no such file."""
    mark, length = file.read(len(MARK)), file.read(8)
    if mark != MARK or len(length) != 8:  # noqa: PLR2004 - of the length
        raise ValueError("this is not a viewer's file")
    (count,) = struct.unpack("<Q", length)
    if count > _LONGEST:
        raise ValueError("the header of this viewer's file is too long")
    fields = json.loads(file.read(count))
    return str(fields["case"]), int(fields["judgement"])


def chunks(file: BinaryIO, size: int = 1 << 18) -> Iterator[bytes]:
    """The rest of an open file, piece by piece."""
    while piece := file.read(size):
        yield piece
