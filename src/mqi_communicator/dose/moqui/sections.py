"""The log of a job, split into the output of each of its programs.

The host script writes `mqi-program NAME` before each program, and `mqi-missing PATH` after one that exited 0 without
one of its outputs. Polling returns the beginning and the end of a long log: the part left out may contain marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mqi_communicator.dose.log_excerpt import pieces

_MARK = re.compile(r"^mqi-program ([a-z][a-z0-9-]*)$", re.MULTILINE)
_MISSING = re.compile(r"^mqi-missing (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """The output of one program, as far as it is present."""

    name: str  # "": unknown, its mark is missing
    text: str
    whole: bool  # nothing of it was left out

    @property
    def missing(self) -> tuple[str, ...]:
        """Outputs that were missing when it had exited 0."""
        return tuple(_MISSING.findall(self.text))


def sections(log: str) -> list[Section]:
    """The output of each program, in order, of a whole log. What precedes the first mark has no name."""
    marks = list(_MARK.finditer(log))
    if not marks:
        return [Section("", log, whole=True)]
    found = [Section("", log[: marks[0].start()], whole=True)] if log[: marks[0].start()].strip() else []
    ends = [mark.start() for mark in marks[1:]] + [len(log)]
    found += [Section(mark[1], log[mark.end() : end], whole=True) for mark, end in zip(marks, ends, strict=True)]
    return found


def excerpt_sections(log: str) -> list[Section]:
    """The same of an excerpt: the sections on both sides of a part that was left out are not whole."""
    found: list[Section] = []
    parts = pieces(log)
    for i, part in enumerate(parts):
        here = sections(part)
        if i:  # a section ended in the part left out, or ends here
            if here[0].name:
                here.insert(0, Section("", "", whole=False))
            here[0] = replace(here[0], whole=False)
        if i < len(parts) - 1:
            here[-1] = replace(here[-1], whole=False)
        found += here
    return found
