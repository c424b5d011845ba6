"""Settings of reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mqi_communicator.case.identity import IdentityPolicy

_CRITERION = re.compile(r"(\d+(?:\.\d+)?) ?%/(\d+(?:\.\d+)?) ?mm( local)?")
_MOST = 20  # % or mm: the largest sensible value


@dataclass(frozen=True, slots=True)
class Criterion:
    """One gamma criterion."""

    dose_percent: float
    distance_mm: float
    local: bool

    @property
    def label(self) -> str:
        """The usual notation, such as "3 %/2 mm, global"."""
        return f"{self.dose_percent:g} %/{self.distance_mm:g} mm, {'local' if self.local else 'global'}"


class ReportOptions(BaseModel):
    """The report of each case. It does not affect the verdict, which is made before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    draw: bool = Field(
        default=True,
        description="Generate a report for each case. If false, `mqi report` generates one on request.",
    )
    centre: str = Field("", max_length=80, description="Name of the centre, in the header of each report.")
    identity: Literal["none", "id", "name"] = Field(
        "id", description="Patient data in reports: none, the id, or name, id and birth date."
    )
    labels: bool = Field(
        default=True,
        description="Show the names of plan, beams and structures; parts of the patient's name in them are masked "
        "unless `identity` allows it. If false, only numbers are shown.",
    )
    gamma: tuple[str, ...] = Field(
        ("3 %/3 mm", "2 %/2 mm", "3 %/2 mm local"),
        max_length=8,
        description='Gamma criteria shown in addition to the deciding one, for example "2 %/2 mm" or "3 %/3 mm local".',
    )
    limit_s: float = Field(
        300.0,
        ge=10,
        le=3600,
        description="Time limit of generating a report, in s; after that the results are delivered without one.",
    )

    @field_validator("gamma")
    @classmethod
    def _are_criteria(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            _criterion(text)
        return value

    @property
    def shown(self) -> IdentityPolicy:
        """What pages, tables and JSON show of a case's identity."""
        return IdentityPolicy(patient_id=self.identity != "none", plan_label=self.labels)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The criteria of `gamma`, each once."""
        return tuple(dict.fromkeys(_criterion(text) for text in self.gamma))


def _criterion(text: str) -> Criterion:
    found = _CRITERION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is not a gamma criterion; write for example "2 %/2 mm" or "3 %/3 mm local"')
    percent, mm = float(found[1]), float(found[2])
    if not (0 < percent <= _MOST and 0 < mm <= _MOST):
        raise ValueError(f'"{text}": both numbers must be above 0 and at most {_MOST}')
    return Criterion(percent, mm, found[3] is not None)
