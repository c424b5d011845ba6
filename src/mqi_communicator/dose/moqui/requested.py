"""What was requested of a run, on one line that the job appends to its log after its last program.

Later steps read it there and do not depend on the current configuration. The line also proves that every program ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FILE = "asked.txt"
_LINE = re.compile(r"^mqi-asked voxels=(\d+) histories=(\d+) factor=(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """What was requested of every run of the job."""

    voxels: int  # of the grid that was sent
    histories: int  # that the program must report; 0: not checked, because this build scales the number
    factor: float  # from its dose to Gy, see `Setup.factor`

    def text(self) -> bytes:
        """The line."""
        return f"mqi-asked voxels={self.voxels} histories={self.histories} factor={self.factor!r}\n".encode("ascii")


def requested_in(log: str) -> RequestedRun | None:
    """The request at the end of the log; None if the job ended before it wrote it."""
    found = _LINE.findall(log)
    if not found:
        return None
    voxels, histories, factor = found[-1]
    return RequestedRun(int(voxels), int(histories), float(factor))
