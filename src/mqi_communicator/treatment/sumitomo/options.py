"""How the logs of one Sumitomo gantry become mm and MU: commissioned like a beam model."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SumitomoOptions(BaseModel):
    """Calibration of a gantry's logs. mm = (raw - offset) x gain; MU = counts x factor of the range / counts per MU."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: tuple[float, float] = Field(description="Raw values of x and y at the isocentre, in .ptn files.")
    gain_mm: tuple[float, float] = Field(description="mm for each step of x and y, in .ptn files.")
    planned_offset: tuple[float, float] = Field(
        (32768.0, 32768.0), description="Raw values of x and y at the isocentre, in .mgn files."
    )
    planned_gain_mm: tuple[float, float] = Field(description="mm for each step of x and y, in .mgn files.")
    size: Literal["fwhm", "sigma"] = Field("fwhm", description="What the sizes in .ptn files are: fwhm or sigma.")
    counts_per_mu: float = Field(gt=0, description="Counts of the first monitor for each MU, at range factor 1.")
    range_factors: dict[int, float] = Field(
        description="Factor of the counts by code of the dose range (DOSE1_RANGE). A code that is not here is refused."
    )
    rail: int = Field(
        65000, ge=0, le=65535, description="Raw x or y from here on is no position: the beam is off, or outside."
    )
    monitors_percent: float = Field(
        1.0,
        gt=0,
        le=10,
        description="By how much the ratio of the two monitors may differ, between layers and within one; more is "
        "refused.",
    )
    commissioned_by: str = Field(
        default="",
        max_length=200,
        description="Who commissioned the calibration. Without both, nothing read by it is judged.",
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")

    @property
    def commissioned(self) -> bool:
        """Whether a person and a day are given."""
        return bool(self.commissioned_by.strip() and self.commissioned_on)
