"""Numbers out of a data set, and the sentence that says which one is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqi_communicator.dicom.problem import DicomProblem, shown

if TYPE_CHECKING:
    from pydicom import Dataset

_MEND = "Mend it in the treatment planning system and export the plan again."


@dataclass(frozen=True, slots=True)
class Words:
    """Speaks of one place in one file: "RP.dcm, beam 2 (LAO)"."""

    where: str

    def problem(self, found: str, code: str, advice: str = _MEND) -> DicomProblem:
        """What was found there, as a DicomProblem."""
        return DicomProblem(f"{self.where}: {found}", advice, code)

    def of_beam(self, item: Dataset) -> Words:
        """The same for one beam of the plan."""
        name = str(item.get("BeamName", ""))
        return Words(f"{self.where}, beam {item.BeamNumber}" + (f" ({shown(name)})" if name else ""))

    def of_point(self, index: int) -> Words:
        """The same for one control point (counted from 0, as ControlPointIndex is)."""
        return Words(f"{self.where}, control point {index}")

    def number(self, data: Dataset, keyword: str) -> float:
        """A finite number that must be there."""
        value = data.get(keyword)
        if value is None or value == "":
            raise self.problem(f"{named(keyword)} is missing", "dicom.missing")
        number = float(value)
        if not math.isfinite(number):
            raise self.problem(f"{named(keyword)} is {number}, expected a finite number", "dicom.not_finite")
        return number

    def whole(self, data: Dataset, keyword: str) -> int:
        """A whole number that must be there."""
        number = self.number(data, keyword)
        if number != int(number):
            raise self.problem(f"{named(keyword)} is {number}, expected a whole number", "dicom.not_whole")
        return int(number)

    def numbers(self, data: Dataset, keyword: str, count: int) -> tuple[float, ...]:
        """Exactly `count` finite numbers that must be there."""
        values = tuple(float(value) for value in data.get(keyword) or ())
        if len(values) != count or not all(map(math.isfinite, values)):
            raise self.problem(f"{named(keyword)} is missing, or is not {count} numbers", "dicom.missing")
        return values


def named(keyword: str) -> str:
    """A keyword with its tag: `BeamMeterset (300A,0086)`."""
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
