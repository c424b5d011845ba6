"""The log of a job, cut into what each of its programs printed.

The host's script writes `mqi-program NAME` before each program, and `mqi-missing PATH` after one that exited 0 without
one of its outputs. A look at a long log shows its beginning and its end: what was left out may hold marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mqi_communicator.dose.log_excerpt import pieces

_MARK = re.compile(r"^mqi-program ([a-z][a-z0-9-]*)$", re.MULTILINE)
_MISSING = re.compile(r"^mqi-missing (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """What one program printed, as far as it is here."""

    name: str  # "": it cannot be told, the mark is not there
    text: str
    whole: bool  # nothing of it was left out: a word that is not here was not said

    @property
    def missing(self) -> tuple[str, ...]:
        """Outputs that were not there when it had exited 0."""
        return tuple(_MISSING.findall(self.text))


def sections(log: str) -> list[Section]:
    """What each program printed, in their order, of a log that is whole. What stands before the first mark is without
    a name."""
    marks = list(_MARK.finditer(log))
    if not marks:
        return [Section("", log, whole=True)]
    found = [Section("", log[: marks[0].start()], whole=True)] if log[: marks[0].start()].strip() else []
    ends = [mark.start() for mark in marks[1:]] + [len(log)]
    found += [Section(mark[1], log[mark.end() : end], whole=True) for mark, end in zip(marks, ends, strict=True)]
    return found


def excerpt_sections(log: str) -> list[Section]:
    """The same of a log of which something may be left out: the sections on both sides of that are not whole."""
    found: list[Section] = []
    parts = pieces(log)
    for i, part in enumerate(parts):
        here = sections(part)
        if i:  # a section ended in what was left out, or ends here
            if here[0].name:
                here.insert(0, Section("", "", whole=False))
            here[0] = replace(here[0], whole=False)
        if i < len(parts) - 1:
            here[-1] = replace(here[-1], whole=False)
        found += here
    return found
