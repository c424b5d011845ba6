"""How a DICOM object can be wrong, said so that a physicist can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.visible import visible

_PLACES = 3  # that are written out of one reason
_MOST = 20  # reasons that are written out
_LONGEST = 80  # characters of a name that anybody wants to read in one line

EMPTY = "dicom.empty"
TRUNCATED = "dicom.truncated"
NOT_DICOM = "dicom.not_dicom"
UNFINISHED = frozenset({EMPTY, TRUNCATED, NOT_DICOM})
"""Codes of files that may only be half copied: given time, they may mend themselves."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a case cannot be computed. Readers and engines collect them; a case is refused once, with all.

    `str()` is the sentence that people read. Like a DicomProblem's reason it may quote file names: never logged.
    """

    code: str  # stable, for logs: "beam.scan_mode"
    file: str  # as it may be shown; "" where no single file is to blame
    found: str  # the value found; a whole clause where `tag` is empty
    tag: str = ""  # keyword and tag, for example "ScanMode (300A,0308)"
    expected: str = ""
    advice: str = ""
    where: str = ""  # the place in the file, for example "beam 2 (LAO), control point 4"
    clause: str = ""  # what to say instead of "TAG is FOUND, expected EXPECTED"

    def __str__(self) -> str:
        """For example: RP.dcm, beam 1: RadiationType (300A,00C6) is ION, expected PROTON."""
        place = ", ".join(filter(None, (self.file, self.where)))
        clause = f"{self.tag} is {self.found or 'missing'}" if self.tag else self.found
        clause = self.clause or (f"{clause}, expected {self.expected}" if self.expected else clause)
        return f"{place}: {clause}" if place else clause


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


def printable(text: str) -> str:
    """Text of unknown origin (a file name, a beam name) made fit for one line of a message.

    Control characters and undecodable bytes are escaped, and the middle of a long text is left out.
    """
    clean = visible(text)
    return clean if len(clean) <= _LONGEST else f"{clean[:56]}…{clean[-23:]}"


def as_problem(error: DicomProblem) -> Problem:
    """A refusal that was raised, as one of several."""
    return Problem(error.code, "", error.reason, advice=error.advice)


def without_repeats(problems: Sequence[Problem]) -> list[Problem]:
    """Each problem once; one that several places of a file share names them all."""
    places: dict[Problem, list[str]] = {}
    for one in problems:
        found = places.setdefault(replace(one, where=""), [])
        found += [one.where] if one.where not in found else []
    return [replace(one, where=_all(where)) for one, where in places.items()]


def _all(places: Sequence[str]) -> str:
    more = len(places) - _PLACES
    named = [*places[:_PLACES], f"{more} more places"] if more > 0 else places
    return " and ".join(named)


def refusal(problems: Sequence[Problem]) -> DicomProblem:
    """All reasons at once, each once, numbered where there are several; their advice in the same order."""
    unique = without_repeats(problems)
    reasons = [str(one) for one in unique]
    if len(reasons) > 1:
        reasons = [f"({number}) {reason}" for number, reason in enumerate(reasons[:_MOST], start=1)]
        rest = len(unique) - _MOST
        reasons = [f"{len(unique)} reasons", *reasons, *([f"and {rest} more"] if rest > 0 else [])]
    advice = dict.fromkeys(one.advice for one in unique[:_MOST] if one.advice)
    return DicomProblem("; ".join(reasons), " ".join(advice), unique[0].code)
