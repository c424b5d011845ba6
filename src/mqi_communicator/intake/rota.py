"""Which case folders a scan looks into: those of finished cases stay for months, and need not be read each time. Pure.

A folder whose files were the same in many scans is looked into in every eighth, and at once if the system reports a
change in it. Only on a share that reports nothing is a change in such a folder noticed some scans later.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence

QUIET_SCANS = 40  # in a row without a change: ten minutes with the default of intake.rescan_s
SHARE = 8


class ScanRota:
    """Remembers for each folder in how many scans in a row nothing in it had changed. A restart forgets it."""

    def __init__(self) -> None:
        self._unchanged: dict[str, int] = {}
        self._turn = 0

    def choose(self, folders: Sequence[str], reported: Collection[str]) -> list[str]:
        """The folders to look into now, of all that exist. `reported`: those with a change that the system reported."""
        self._turn += 1
        self._unchanged = {name: self._unchanged.get(name, 0) for name in folders}
        return [name for name in folders if name in reported or self._is_due(name)]

    def note(self, seen: Iterable[str], changed: Collection[str]) -> None:
        """Record what a scan has found. `changed`: the folders of `seen` that were new or other than before."""
        for name in seen:
            self._unchanged[name] = 0 if name in changed else self._unchanged.get(name, 0) + 1

    def _is_due(self, name: str) -> bool:
        if self._unchanged[name] < QUIET_SCANS:
            return True
        return (zlib.crc32(name.encode("utf-8", "surrogateescape")) + self._turn) % SHARE == 0
