"""What every verdict of a configuration rests on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Basis:
    """It goes into every delivered manifest."""

    version: str  # ours
    config_digest: str  # sha256 of the effective configuration
