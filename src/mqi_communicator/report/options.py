"""What a site may set about its reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_CRITERION = re.compile(r"(\d+(?:\.\d+)?) ?%/(\d+(?:\.\d+)?) ?mm( local)?")
_MOST = 20  # % or mm: nobody asks for more


@dataclass(frozen=True, slots=True)
class Criterion:
    """One gamma criterion."""

    dose_percent: float
    distance_mm: float
    local: bool

    @property
    def label(self) -> str:
        """As physicists write it."""
        return f"{self.dose_percent:g} %/{self.distance_mm:g} mm, {'local' if self.local else 'global'}"


class ReportOptions(BaseModel):
    """The report of each case. What it shows decides nothing: the verdict is made before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    draw: bool = Field(
        default=True,
        description="Draw a report for each case. Without, `mqi report` draws one when somebody asks.",
    )
    centre: str = Field("", max_length=80, description="Name of the centre, in the head of each report.")
    identity: Literal["none", "id", "name"] = Field(
        "none", description="What a report says of the patient: nothing, the id, or name, id and birth date."
    )
    labels: bool = Field(
        default=True,
        description="Show the names of plan, beams and structures as they were typed; words of the patient's name are "
        "blacked out in them unless `identity` allows it. Without, only their numbers stand there.",
    )
    gamma: tuple[str, ...] = Field(
        ("3 %/3 mm", "2 %/2 mm", "3 %/2 mm local"),
        max_length=8,
        description='Gamma criteria shown beside the one that decides, for example "2 %/2 mm" or "3 %/3 mm local".',
    )
    limit_s: float = Field(
        300.0,
        ge=10,
        le=3600,
        description="Longest time the drawing may take, in s; the results are then delivered without.",
    )

    @field_validator("gamma")
    @classmethod
    def _are_criteria(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            _criterion(text)
        return value

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The criteria of `gamma`, each once."""
        return tuple(dict.fromkeys(_criterion(text) for text in self.gamma))


def _criterion(text: str) -> Criterion:
    found = _CRITERION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no gamma criterion; write for example "2 %/2 mm" or "3 %/3 mm local"')
    percent, mm = float(found[1]), float(found[2])
    if not (0 < percent <= _MOST and 0 < mm <= _MOST):
        raise ValueError(f'"{text}": both numbers must be above 0 and at most {_MOST}')
    return Criterion(percent, mm, found[3] is not None)
