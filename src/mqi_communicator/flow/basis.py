"""What every verdict of a configuration is based on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Basis:
    """Recorded in every delivered manifest."""

    version: str  # of the communicator
    config_digest: str  # sha256 of the effective configuration
