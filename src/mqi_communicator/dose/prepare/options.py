"""Settings of the preparation that no engine has: what a planning system computed with, and what a site accepts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PreparationOptions(BaseModel):
    """How a plan and its CT are prepared for the engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)
