"""Settings of admission."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IntakeOptions(BaseModel):
    """How the watched folder is scanned, and how long a case may take to arrive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rescan_s: float = Field(
        default=15.0,
        gt=0,
        description="Time between scans of the watched folder, in s; changes reported by the system trigger a scan "
        "earlier.",
    )
    settle_s: float = Field(
        default=3.0,
        ge=0,
        description="A complete case is admitted once nothing in it has changed for this time, in s.",
    )
    still_s: float = Field(
        default=20.0,
        ge=0,
        description="A faulty case is refused, and a case without a dose per beam is admitted, once nothing in it has "
        "changed "
        "for this time, in s.",
    )
    patience_s: float = Field(
        default=1800.0,
        ge=0,
        description="A file that ends early counts as still being copied until nothing in the folder has changed for "
        "this "
        "time, in s.",
    )
    no_dose_still_s: float = Field(
        default=600.0,
        ge=0,
        description="A plan without a planned dose is admitted once nothing in its folder has changed for this time, "
        "in s.",
    )
    max_files: int = Field(default=20_000, gt=0, description="A case folder with more files than this is refused.")
    max_file_bytes: int = Field(
        default=2 << 30, gt=0, description="A DICOM file larger than this is refused, in bytes."
    )
    max_case_bytes: int = Field(
        default=16 << 30, gt=0, description="A case folder of a larger total size than this is refused, in bytes."
    )
    max_case_elements: int = Field(
        default=50_000_000,
        gt=0,
        description="A case whose files cost more than this to read is refused: each DICOM element counts 1 each time "
        "it "
        "is skipped and 10 each time it is read. The default takes about a minute.",
    )
    case_cpu_s: float = Field(
        default=600.0,
        gt=0,
        description="A case is refused if examining it takes more processor time than this, in s; it is examined again "
        "when its folder changes.",
    )
