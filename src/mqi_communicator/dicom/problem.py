"""How a DICOM object can be wrong, said so that a physicist can mend it."""

from __future__ import annotations

from mqi_communicator.case.faults import Permanent

_LONGEST = 80  # characters of a name that anybody wants to read in one line

EMPTY = "dicom.empty"
TRUNCATED = "dicom.truncated"
NOT_DICOM = "dicom.not_dicom"
UNFINISHED = frozenset({EMPTY, TRUNCATED, NOT_DICOM})
"""Codes of files that may only be half copied: given time, they may mend themselves."""


class DicomProblem(Permanent):
    """Which file, which tag, what was found, what was expected.

    `where` is a file name relative to the case folder ("" for the case as a whole). File names may name a
    patient: they are shown to the operator (CLI) through `reason`, but `reason` is never logged; logs carry `code`.
    """

    def __init__(self, reason: str, advice: str = "", code: str = "dicom.invalid") -> None:
        super().__init__(reason, advice)
        self.code = code

    def __reduce__(self) -> tuple[type[DicomProblem], tuple[str, ...]]:
        """Cross a process boundary whole."""
        return type(self), (self.reason, self.advice, self.code)


def shown(text: str) -> str:
    """Text of unknown origin (a file name, a beam name) made fit for one line of a message.

    Control characters and undecodable bytes are escaped, and the middle of a long text is left out.
    """
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)
    return clean if len(clean) <= _LONGEST else f"{clean[:56]}…{clean[-23:]}"
