"""What a site says about MCsquare on its compute host."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.dicom.records import Medium

_SHA256 = r"^[0-9a-f]{64}$"
_FETCHED_ENGINE = "25243b76560dff0584c519f6a629c6834349c5246a6962225c935d5aa315a64f"  # by setup/fetch_engine.py


class MCsquareOptions(BaseModel):
    """MCsquare, the CPU Monte Carlo, on the compute host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["mcsquare"] = Field(
        default="mcsquare", description="Which engine computes the dose; mcsquare where it is not said."
    )
    home: str = Field(
        pattern=r"^(/|~/)[^\n]*$",
        description="Folder on the compute host holding MCsquare_linux and Materials; absolute, or beginning with ~/.",
    )
    engine_sha256: str = Field(
        default=_FETCHED_ENGINE,
        pattern=_SHA256,
        description="Digest of MCsquare_linux that `mqi check` demands on the compute host.",
    )
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of one beam's job; 0 takes all cores.")
    histories_per_beam: int = Field(
        default=1_000_000,
        ge=1_000,
        le=10_000_000_000,
        description="Protons simulated per beam; with target_uncertainty the number per beam at which it begins.",
    )
    target_uncertainty: float | None = Field(
        default=None,
        gt=0.0005,
        lt=0.2,
        description="Go on until the mean relative uncertainty (1 sigma) where dose is at least half of its maximum "
        "is below this fraction, e.g. 0.01; leave out for a fixed number of protons.",
    )
    max_histories_per_beam: int = Field(
        default=50_000_000,
        ge=1_000,
        le=100_000_000_000,
        description="Protons per beam at which a run with target_uncertainty stops even so (looked at now and then: "
        "it may be passed several times over).",
    )
    time_limit_s: float = Field(
        default=7200.0, gt=0, description="Wall time in seconds after which one beam's job is ended."
    )
    dose_to: Medium = Field(
        default=Medium.MEDIUM, description="Whether dose is reported to the local medium or to water: medium or water."
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        description="Seed of the random numbers; the same dose comes again only with threads: 1; 0 takes the clock.",
    )

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam; None with a target uncertainty."""
        return self.histories_per_beam if self.target_uncertainty is None else None
