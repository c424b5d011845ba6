"""How jobs are started and watched."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DirectOptions(BaseModel):
    """Jobs on a plain host without a scheduler."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_s: float = Field(
        default=5.0,
        ge=0.2,
        le=600,
        description="Seconds between two looks at all jobs of the host (one command, which sees an end at once).",
    )
    kill_grace_s: float = Field(
        default=10.0, ge=0.1, le=300, description="Seconds between asking a job to end and killing it."
    )
    begin_wait_s: float = Field(
        default=10.0, ge=0.5, le=120, description="Longest wait for a started job to take its gate, in seconds."
    )
    log_tail_bytes: int = Field(
        default=4096, ge=256, le=65536, description="How much of the end of a job's log a poll brings, in bytes."
    )
