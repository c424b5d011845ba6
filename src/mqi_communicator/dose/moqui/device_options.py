"""Settings by which a site declares that it has commissioned devices in the beam with moqui."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class MeasuredOptions(BaseModel):
    """Who compared a measured field with moqui's dose of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commissioned_by: str = Field(pattern=r"\S", max_length=200, description="Who commissioned it with this program.")
    commissioned_on: date = Field(description="Date of commissioning, YYYY-MM-DD.")
    measured: str = Field(
        pattern=r"\S",
        max_length=300,
        description="The measured field that moqui's dose was compared with: range and lateral penumbra at two depths.",
    )


class DevicesOptions(BaseModel):
    """Devices in the beam that the site has commissioned with upstream moqui; a plan with any other is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    range_shifters: MeasuredOptions | None = Field(
        default=None, description="Range shifters that are in the beam for all layers."
    )
    apertures: MeasuredOptions | None = Field(default=None, description="Apertures of one opening.")
