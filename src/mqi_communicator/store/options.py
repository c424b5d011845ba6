"""What a site may set about backups of the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class BackupOptions(BaseModel):
    """Copies of the store, each whole by itself and proved readable before an older one goes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = Field(
        default=None,
        description="Where the copies go, better on another disk; without it, paths.workspace/backups.",
    )
    every_s: float = Field(
        default=3600.0, ge=1, description="Time between two copies while the communicator runs, in s."
    )
    keep: int = Field(default=48, ge=1, le=100_000, description="How many copies stay; the oldest go first.")
