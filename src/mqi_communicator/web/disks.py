"""How full the disks are. A share that hangs makes its own line say so, and nothing else wait."""

from __future__ import annotations

import asyncio
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 1.0
FRESH_S = 10.0
_LOW = 0.1  # of the disk: less is worth a word


@dataclass(frozen=True, slots=True)
class Disk:
    """One folder's disk. None: it did not answer."""

    name: str
    free: int | None = None  # bytes
    total: int | None = None

    @property
    def used_percent(self) -> float:
        """How full, 0 to 100."""
        return 0.0 if not self.total or self.free is None else 100.0 * (1 - self.free / self.total)

    @property
    def low(self) -> bool:
        """Whether there is little room left."""
        return self.free is None or not self.total or self.free / self.total < _LOW


@dataclass(slots=True)
class Disks:
    """The disks of some folders, looked at every ten seconds at the most, each by a thread of its own."""

    folders: dict[str, Path]
    _asked: dict[str, Future[tuple[int, int]]] = field(default_factory=dict)
    _kept: tuple[float, list[Disk]] = (-FRESH_S, [])

    async def look(self) -> list[Disk]:
        """What is known within a second."""
        now = time.monotonic()
        if now - self._kept[0] < FRESH_S:
            return self._kept[1]
        found = [await self._one(name, path) for name, path in self.folders.items()]
        self._kept = (now, found)
        return found

    async def _one(self, name: str, path: Path) -> Disk:
        asked = self._asked.get(name)
        if asked is None or asked.done():
            threads = ThreadPoolExecutor(1, f"disk-{name}")
            asked = self._asked[name] = threads.submit(_usage, path)
            threads.shutdown(wait=False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                free, total = await asyncio.shield(asyncio.wrap_future(asked))
        except (TimeoutError, OSError):
            return Disk(name)
        return Disk(name, free, total)


def _usage(path: Path) -> tuple[int, int]:
    found = shutil.disk_usage(path)
    return found.free, found.total
