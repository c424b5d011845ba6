"""Settings of MCsquare on the compute host."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.dicom.records import Medium

_SHA256 = r"^[0-9a-f]{64}$"
_FETCHED_ENGINE = "25243b76560dff0584c519f6a629c6834349c5246a6962225c935d5aa315a64f"  # by mqi fetch-engine


class MCsquareOptions(BaseModel):
    """MCsquare, the CPU Monte Carlo, on the compute host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["mcsquare"] = Field(default="mcsquare", description="Dose engine; default: mcsquare.")
    home: str = Field(
        pattern=r"^(/|~/)[^\n]*$",
        description="Folder on the compute host with MCsquare_linux and Materials; absolute, or beginning with ~/.",
    )
    engine_sha256: str = Field(
        default=_FETCHED_ENGINE,
        pattern=_SHA256,
        description="sha256 of MCsquare_linux that `mqi check` requires on the compute host.",
    )
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of one beam's job; 0: all cores.")
    histories_per_beam: int = Field(
        default=1_000_000,
        ge=1_000,
        le=10_000_000_000,
        description="Protons simulated per beam; with target_uncertainty the initial number.",
    )
    target_uncertainty: float | None = Field(
        default=None,
        gt=0.0005,
        lt=0.2,
        description="Simulate until the mean relative uncertainty (1 sigma) where dose is at least half of its maximum "
        "is below this fraction, e.g. 0.01; unset: a fixed number of protons.",
    )
    max_histories_per_beam: int = Field(
        default=50_000_000,
        ge=1_000,
        le=100_000_000_000,
        description="Protons per beam at which a run with target_uncertainty stops in any case (checked now and then: "
        "it "
        "may be exceeded several times over).",
    )
    time_limit_s: float = Field(
        default=7200.0, gt=0, description="Wall time after which one beam's job is killed, in s."
    )
    dose_to: Medium = Field(
        default=Medium.MEDIUM, description="Whether the engine reports dose to the local medium or to water."
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        description="Seed of the random numbers; a dose is reproducible only with threads: 1; 0: seed from the clock.",
    )

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam; None with a target uncertainty."""
        return self.histories_per_beam if self.target_uncertainty is None else None
