"""What was requested of each of moqui's runs (one per seed), on one line at the end of the job's log.

The file is part of the input. The host script appends it to the log only if every program exited 0 with its outputs, so
that the line also shows that every program succeeded. Later steps take these values from the line; the number of runs,
the format and what the dose includes (`Setup.included`) are those of the current configuration. The file's name and the
line are formats on hosts, where jobs of an earlier version may wait: they do not change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FILE = "asked.txt"
_LINE = re.compile(
    r"^mqi-asked voxels=(\d+) histories=(\d+) factor=(\S+)(?: shifter=(\S+)@(\S+))?(?: aperture=(\S+)@(\S+))?$",
    re.MULTILINE,
)
Placed = tuple[float, float]
"""Thickness of a device, and height of its centre above the isocentre, in mm."""


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """What was requested of each seed's run."""

    voxels: int  # of the grid that was sent
    histories: int  # of one run, which moqui must report to 1 %; 0: not checked, because this build scales the number
    factor: float  # from its dose to Gy, with the RBE and fractions that this build includes; 1 if unknown
    shifter: Placed | None = None  # that moqui must build
    aperture: Placed | None = None

    @property
    def devices(self) -> int:
        """How many devices moqui must build."""
        return (self.shifter is not None) + (self.aperture is not None)

    def text(self) -> bytes:
        """The line."""
        named = {"shifter": self.shifter, "aperture": self.aperture}
        devices = "".join(f" {name}={one[0]!r}@{one[1]!r}" for name, one in named.items() if one is not None)
        line = f"mqi-asked voxels={self.voxels} histories={self.histories} factor={self.factor!r}{devices}\n"
        return line.encode("ascii")


def requested_in(log: str) -> RequestedRun | None:
    """The request at the end of the log; None unless the job succeeded."""
    found = _LINE.findall(log)
    if not found:
        return None
    voxels, histories, factor, *places = found[-1]
    return RequestedRun(int(voxels), int(histories), float(factor), _placed(*places[:2]), _placed(*places[2:]))


def _placed(thickness: str, centre: str) -> Placed | None:
    return (float(thickness), float(centre)) if thickness else None
