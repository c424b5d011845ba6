"""What a site can set about taking cases in."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IntakeOptions(BaseModel):
    """How the watched folder is looked at, and how long a case may take to arrive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rescan_s: float = Field(
        default=15.0,
        gt=0,
        description="The watched folder is looked at this often even if nothing reports, in seconds.",
    )
    settle_s: float = Field(
        default=3.0,
        ge=0,
        description="A complete case is taken once nothing in it has changed for so many seconds.",
    )
    still_s: float = Field(
        default=20.0,
        ge=0,
        description="A case is refused, or taken without a dose per beam, once nothing in it has changed for so many "
        "seconds.",
    )
    patience_s: float = Field(
        default=1800.0,
        ge=0,
        description="A file that ends early counts as still being copied until the folder has been still for so many "
        "seconds.",
    )
    no_dose_still_s: float = Field(
        default=600.0,
        ge=0,
        description="A plan for which no planned dose arrives is taken without one after so many seconds of stillness.",
    )
    max_files: int = Field(default=20_000, gt=0, description="A case folder with more files than that is refused.")
    max_file_bytes: int = Field(
        default=2 << 30, gt=0, description="A DICOM file larger than that is refused, in bytes."
    )
    max_case_bytes: int = Field(
        default=16 << 30, gt=0, description="A case folder larger than that in all is refused, in bytes."
    )
    max_case_elements: int = Field(
        default=50_000_000,
        gt=0,
        description="A case whose files cost more than that to read is refused: each DICOM element counts once where "
        "it is passed over and ten times where it is read, as often as that is done. The default is about a minute.",
    )
    case_cpu_s: float = Field(
        default=600.0,
        gt=0,
        description="A case is refused if checking it takes more processor time than that, in s; it is not tried again "
        "until its folder changes.",
    )
