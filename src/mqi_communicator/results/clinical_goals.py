"""Clinical goals: dose-volume limits as text, for example "D95% >= 95 %" or "V20Gy <= 30 %". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mqi_communicator.dicom.records import Extent

_NUMBER = r"(\d+(?:\.\d+)?)"
_GOAL = re.compile(
    rf"(?:D{_NUMBER} ?(%|cc)|(Dmean)|V{_NUMBER} ?(Gy\(RBE\)|Gy|%))"
    rf" ?(<=|>=|≤|≥) ?{_NUMBER} ?(Gy\(RBE\)|Gy|%|cc)( per fraction)?"
)
_EXAMPLE = 'write for example "D95% >= 95 %", "D0.03cc <= 45 Gy(RBE)", "V20Gy <= 30 %" or "Dmean <= 4 Gy per fraction"'
RBE = "Gy(RBE)"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal. Doses are of the whole course unless `extent` is a fraction; in % they are of the prescription."""

    text: str  # as configured
    quantity: str  # "D" of a volume, "V" of a dose, or "mean"
    at: float  # D: the volume; V: the dose; mean: 0
    at_unit: str  # D: "%" or "cc"; V: "Gy", "Gy(RBE)" or "%"; mean: ""
    at_least: bool  # the value must be at least the limit; else at most
    limit: float
    unit: str  # of the value: D and mean "Gy", "Gy(RBE)" or "%"; V "%" or "cc"
    extent: Extent

    @property
    def dose_unit(self) -> str:
        """The unit of the dose in the goal: that of D's or mean's limit, or V's level."""
        return self.at_unit if self.quantity == "V" else self.unit


def goal_of(text: str) -> Goal:
    """Read a goal. ValueError if it is none, or a volume limit is above 100 %."""
    found = _GOAL.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError(f'"{text}" is not a clinical goal; {_EXAMPLE}')
    volume, volume_unit, mean, dose, dose_unit, sign, limit, unit, fraction = found.groups()
    quantity = "mean" if mean else "D" if volume else "V"
    at, at_unit = float(volume or dose or 0), volume_unit or dose_unit or ""
    units = ("%", "cc") if quantity == "V" else ("%", "Gy", RBE)
    if unit not in units:
        raise ValueError(f'"{text}": the limit of this value must be in {", ".join(units)}')
    parts = [at] if quantity == "D" and at_unit == "%" else []
    parts += [float(limit)] if quantity == "V" and unit == "%" else []
    if any(part > 100 for part in parts):  # noqa: PLR2004 - percent of a volume
        raise ValueError(f'"{text}": a part of a volume cannot be more than 100 %')
    extent = Extent.FRACTION if fraction else Extent.COURSE
    return Goal(" ".join(text.split()), quantity, at, at_unit, sign in (">=", "≥"), float(limit), unit, extent)


class ClinicalGoals(BaseModel):
    """Dose-volume limits that planned and computed dose are compared with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Literal["none", "review", "fail"] = Field(
        "none",
        description="Outcome of the check `clinical_goals` if the computed dose does not meet a goal that the planned "
        "dose meets. With `none`, goals are reported and no check is made.",
    )
    structures: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Goals by structure name. In names, which are compared without regard to upper and lower case, `*` "
        "is any text and `?` any character. A dose is of the whole course unless the goal ends in `per fraction`; % of "
        "a dose is of the prescription.",
    )

    @field_validator("structures")
    @classmethod
    def _are_goals(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for goals in value.values():
            for text in goals:
                goal_of(text)
        return value

    def of(self, name: str) -> tuple[Goal, ...]:
        """The goals of a structure, each once, in the order of the configuration."""
        texts = [
            text
            for pattern, goals in self.structures.items()
            if fnmatchcase(name.strip().casefold(), pattern.strip().casefold())
            for text in goals
        ]
        return tuple(goal_of(text) for text in dict.fromkeys(texts))
