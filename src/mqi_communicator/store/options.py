"""Settings of backups of the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class BackupOptions(BaseModel):
    """Backups of the store. Each is verified before an older one is deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = Field(
        default=None,
        description="Folder of the backups, preferably on another disk; default: paths.workspace/backups.",
    )
    every_s: float = Field(default=3600.0, ge=1, description="Interval of backups while the communicator runs, in s.")
    keep: int = Field(default=48, ge=1, le=100_000, description="Number of backups to keep.")
