"""The log of a job, cut into what each of its programs printed.

The host's script writes `mqi-program NAME` before each program, and `mqi-missing PATH` after one that exited 0 without
one of its outputs. The end of a log may have lost its beginning, and with it the first marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"^mqi-program ([a-z][a-z0-9-]*)$", re.MULTILINE)
_MISSING = re.compile(r"^mqi-missing (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """What one program printed."""

    name: str  # "": it cannot be told, the mark is not there
    text: str
    whole: bool  # whether its beginning is there

    @property
    def missing(self) -> tuple[str, ...]:
        """Outputs that were not there when it had exited 0."""
        return tuple(_MISSING.findall(self.text))


def sections(log: str) -> list[Section]:
    """What each program printed, in their order. What stands before the first mark is without a name."""
    marks = list(_MARK.finditer(log))
    if not marks:
        return [Section("", log, whole=False)]
    found = [Section("", log[: marks[0].start()], whole=False)] if log[: marks[0].start()].strip() else []
    ends = [mark.start() for mark in marks[1:]] + [len(log)]
    found += [Section(mark[1], log[mark.end() : end], whole=True) for mark, end in zip(marks, ends, strict=True)]
    return found
