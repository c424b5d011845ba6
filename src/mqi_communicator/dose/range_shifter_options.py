"""Settings of a machine's range shifters."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mqi_communicator.dicom.configured import DicomText
from mqi_communicator.dose.range_shifter import IN, OUT, PLAN, gap_of

_THICKEST = 400.0  # mm of water: the range of 260 MeV
_FARTHEST = 3_000.0  # mm: beyond the scanning magnets of any machine
_MATERIALS = 82  # that MCsquare has


class RangeShifterOptions(BaseModel):
    """One range shifter; the key above it is the plan's RangeShifterID (300A,0318)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wet: float = Field(
        gt=0, le=_THICKEST, description="Water-equivalent thickness in mm (RS_WET of a beam data library)."
    )
    material: int = Field(
        ge=1,
        le=_MATERIALS,
        description="MCsquare's number of the material (RS_material), from Materials/list.dat; 64 is PMMA.",
    )
    density: float = Field(gt=0, le=25, description="Mass density in g/cm3 (RS_density).")
    distance: str = Field(
        description="Distance from the isocentre to the downstream edge: plan for IsocenterToRangeShifterDistance "
        '(300A,0364) of the plan, or for example "snout + 43" for SnoutPosition (300A,030D) plus 43 mm.'
    )
    travel: tuple[float, float] = Field(
        description="Nearest and farthest distance of the downstream edge from the isocentre that the machine can set, "
        "in mm; a plan with another one is refused."
    )
    settings: dict[DicomText, Literal["IN", "OUT"]] = Field(
        default_factory=dict,
        description="The machine's own words for RangeShifterSetting (300A,0362), each IN or OUT, for example "
        "{POSITION1: IN}. IN and OUT need no entry; a plan with any other word is refused.",
    )
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this range shifter; empty: not commissioned."
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")

    @field_validator("distance")
    @classmethod
    def _rule(cls, rule: str) -> str:
        if rule != PLAN and gap_of(rule) is None:
            raise ValueError('must be plan, or the snout position plus a number of mm such as "snout + 43"')
        return rule

    @field_validator("travel")
    @classmethod
    def _rising(cls, travel: tuple[float, float]) -> tuple[float, float]:
        if not 0 < travel[0] <= travel[1] <= _FARTHEST:
            raise ValueError(f"must be two distances in mm above 0 and up to {_FARTHEST:g}, the nearest one first")
        return travel

    @field_validator("settings")
    @classmethod
    def _words(cls, settings: dict[str, Literal["IN", "OUT"]]) -> dict[str, Literal["IN", "OUT"]]:
        for word in settings:
            if word in (IN, OUT) or word != word.strip() or not word:
                raise ValueError(
                    f"{word!r}: must be a word of the machine other than IN and OUT, without blanks around"
                )
        return settings
