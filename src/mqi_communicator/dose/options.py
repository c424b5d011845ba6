"""What a site says about its dose engine, its treatment machines and its CT scanners."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.dose.mcsquare.options import MCsquareOptions as EngineOptions

__all__ = ["EngineOptions", "MachineOptions", "ScannerOptions"]

_SHA256 = r"^[0-9a-f]{64}$"


class MachineOptions(BaseModel):
    """The beam model of one treatment machine; the key above it is the plan's TreatmentMachineName."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam_model: Path = Field(description="Beam data library file in MCsquare's form, on this computer.")
    sha256: str = Field(pattern=_SHA256, description="Digest of the beam model that was commissioned.")
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this model for this machine; empty: nobody yet."
    )
    commissioned_on: date | None = Field(default=None, description="Day of the commissioning, as YYYY-MM-DD.")


class ScannerOptions(BaseModel):
    """The CT curve of one scanner; the key above it is "Manufacturer|ManufacturerModelName|StationName"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    density: Path = Field(description="File of HU against mass density in g/cm3 (HU_Density_Conversion.txt).")
    density_sha256: str = Field(pattern=_SHA256, description="Digest of the density file that was commissioned.")
    material: Path = Field(description="File of HU against MCsquare material label (HU_Material_Conversion.txt).")
    material_sha256: str = Field(pattern=_SHA256, description="Digest of the material file that was commissioned.")
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this curve for this scanner; empty: nobody yet."
    )
    commissioned_on: date | None = Field(default=None, description="Day of the commissioning, as YYYY-MM-DD.")
