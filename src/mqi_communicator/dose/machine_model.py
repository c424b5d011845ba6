"""What preparation knows of an engine's model of one treatment machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mqi_communicator.dose.range_shifter import RangeShifter


@dataclass(frozen=True, slots=True)
class MachineModel:
    """One treatment machine."""

    sad: tuple[float, float]  # mm, distances of the x and y magnet from the isocentre
    spot_sigma: Callable[[float], float] | None = None  # MeV to mm in air at the isocentre, the smaller axis
    shifters: Mapping[str, RangeShifter] | None = None  # by RangeShifterID; None: the engine computes no range shifter
