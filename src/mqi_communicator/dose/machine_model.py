"""What preparation knows of an engine's model of one treatment machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineModel:
    """One treatment machine."""

    sad: tuple[float, float]  # mm, distances of the x and y magnet from the isocentre
    spot_sigma: Callable[[float], float] | None = None  # MeV to mm in air at the isocentre, the smaller axis
