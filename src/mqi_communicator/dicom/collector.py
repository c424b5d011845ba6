"""Reads numbers of one place in a file and collects the problems found there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydicom.datadict import tag_for_keyword

from mqi_communicator.case.visible import visible
from mqi_communicator.dicom.problem import DicomProblem, Problem, printable, refusal

if TYPE_CHECKING:
    from pydicom import Dataset

_CORRECT = "Correct it in the treatment planning system and export the plan again."


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects problems of one place of a file, such as "RP.dcm, beam 2 (LAO)". All places share `problems`."""

    file: str  # fit for a message
    place: str = ""
    problems: list[Problem] = field(default_factory=list, compare=False)

    def add(self, code: str, found: str, *, tag: str = "", expected: str = "", advice: str = _CORRECT) -> None:
        """Collect a problem of this place; `tag` is formatted as `tagged` does."""
        self.problems.append(Problem(code, self.file, found, tag, expected, advice, self.place))

    def problem(self, found: str, code: str, advice: str = _CORRECT) -> DicomProblem:
        """Return a problem of this place as an exception, for what cannot be read at all."""
        return refusal([Problem(code, self.file, found, advice=advice, where=self.place)])

    def of_beam(self, item: Dataset) -> Collector:
        """Return the collector for one beam of the plan."""
        name = text(item, "BeamName")
        return replace(self, place=f"beam {item.get('BeamNumber')}" + (f" ({printable(name)})" if name else ""))

    def of_point(self, index: int) -> Collector:
        """Return the collector for one control point (counted from 0, like ControlPointIndex)."""
        return self.of_part(f"control point {index}")

    def of_part(self, part: str) -> Collector:
        """Return the collector for a part of this place."""
        return replace(self, place=", ".join(filter(None, (self.place, part))))

    def measured(self, data: Dataset, keyword: str) -> float:
        """Return a required number; NaN, and a problem, if it is missing or not finite."""
        value = data.get(keyword)
        number = math.nan if value is None or value == "" else float(value)
        if not math.isfinite(number):
            missing = value is None or value == ""
            code = "dicom.missing" if missing else "dicom.not_finite"
            self.add(code, "" if missing else f"{number}", tag=tagged(keyword), expected="a number")
            return math.nan
        return number

    def number(self, data: Dataset, keyword: str) -> float:
        """Return a required finite number. DicomProblem if there is none."""
        value = data.get(keyword)
        if value is None or value == "":
            raise self.problem(f"{tagged(keyword)} is missing", "dicom.missing")
        number = float(value)
        if not math.isfinite(number):
            raise self.problem(f"{tagged(keyword)} is {number}, expected a finite number", "dicom.not_finite")
        return number

    def whole(self, data: Dataset, keyword: str) -> int:
        """Return a required whole number. DicomProblem if there is none."""
        number = self.number(data, keyword)
        if number != int(number):
            raise self.problem(f"{tagged(keyword)} is {number}, expected a whole number", "dicom.not_whole")
        return int(number)

    def numbers(self, data: Dataset, keyword: str, count: int) -> tuple[float, ...]:
        """Return exactly `count` required finite numbers. DicomProblem if there are none."""
        values = tuple(float(value) for value in data.get(keyword) or ())
        if len(values) != count or not all(map(math.isfinite, values)):
            raise self.problem(f"{tagged(keyword)} is missing or does not have {count} finite numbers", "dicom.missing")
        return values


def tagged(keyword: str) -> str:
    """Format a keyword with its tag: `BeamMeterset (300A,0086)`."""
    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def text(data: Dataset, keyword: str, default: str = "") -> str:
    """Return a text value as visible characters without surrounding blanks; `default` if it is missing or empty.

    Every text of a DICOM object enters here, since anything may be in it: names, identifiers and words of a code alike.
    """
    value = data.get(keyword)
    return visible(str(value).strip()) or default if value is not None else default


def required_text(data: Dataset, keyword: str) -> str:
    """The same for an element without which a file is damaged. AttributeError if it is missing."""
    return visible(str(getattr(data, keyword)).strip())
