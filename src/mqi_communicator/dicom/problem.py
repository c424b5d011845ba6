"""Problems of DICOM objects, described so that a physicist can correct them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.visible import visible

_PLACES = 3  # written out per reason
_MOST = 20  # reasons written out
_LONGEST = 80  # characters of a name in one line

EMPTY = "dicom.empty"
TRUNCATED = "dicom.truncated"
NOT_DICOM = "dicom.not_dicom"
UNFINISHED = frozenset({EMPTY, TRUNCATED, NOT_DICOM})
"""Codes of files that may still be copied, and so may become valid."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a case cannot be computed. Readers and engines collect them; a case is refused once, with all.

    `str()` is the sentence for operators. Like a DicomProblem's reason it may quote file names: never logged.
    """

    code: str  # stable, for logs: "beam.scan_mode"
    file: str  # fit for a message; "" if no single file is the cause
    found: str  # the value found; a whole clause where `tag` is empty
    tag: str = ""  # keyword and tag, for example "ScanMode (300A,0308)"
    expected: str = ""
    advice: str = ""
    where: str = ""  # the place in the file, for example "beam 2 (LAO), control point 4"
    clause: str = ""  # replaces "TAG is FOUND, expected EXPECTED"

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
        """Support pickling, to cross a process boundary."""
        return type(self), (self.reason, self.advice, self.code)


def printable(text: str) -> str:
    """Make text of unknown origin (a file name, a beam name) fit for one line of a message.

    Control characters and undecodable bytes are escaped, and the middle of a long text is left out.
    """
    clean = visible(text)
    return clean if len(clean) <= _LONGEST else f"{clean[:56]}…{clean[-23:]}"


def as_problem(error: DicomProblem) -> Problem:
    """Convert a raised refusal into a problem."""
    return Problem(error.code, "", error.reason, advice=error.advice)


def without_repeats(problems: Sequence[Problem]) -> list[Problem]:
    """Merge equal problems of several places of a file into one that names all places."""
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
    """Combine all problems into one exception; several reasons are numbered, with advice in the same order."""
    unique = without_repeats(problems)
    reasons = [str(one) for one in unique]
    if len(reasons) > 1:
        reasons = [f"({number}) {reason}" for number, reason in enumerate(reasons[:_MOST], start=1)]
        rest = len(unique) - _MOST
        reasons = [f"{len(unique)} reasons", *reasons, *([f"and {rest} more"] if rest > 0 else [])]
    advice = dict.fromkeys(one.advice for one in unique[:_MOST] if one.advice)
    return DicomProblem("; ".join(reasons), " ".join(advice), unique[0].code)
