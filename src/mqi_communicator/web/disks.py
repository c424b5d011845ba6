"""Disk usage. A share that hangs is reported as not responding and delays nothing else."""

from __future__ import annotations

import asyncio
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 1.0
MAX_AGE_S = 10.0
_LOW = 0.1  # free part of a disk below which it is reported


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of one folder. None: it did not respond."""

    name: str
    free: int | None = None  # bytes
    total: int | None = None

    @property
    def used_percent(self) -> float:
        """Used part, 0 to 100."""
        return 0.0 if not self.total or self.free is None else 100.0 * (1 - self.free / self.total)

    @property
    def low(self) -> bool:
        """Whether little space is free, or unknown."""
        return self.free is None or not self.total or self.free / self.total < _LOW


@dataclass(slots=True)
class Disks:
    """Disk usage of some folders, read at most every MAX_AGE_S, each in a thread of its own."""

    folders: dict[str, Path]
    _pending: dict[str, Future[tuple[int, int]]] = field(default_factory=dict)
    _kept: tuple[float, list[Disk]] = (-MAX_AGE_S, [])

    async def usage(self) -> list[Disk]:
        """The usage of each disk, as far as it is known within TIMEOUT_S."""
        now = time.monotonic()
        if now - self._kept[0] < MAX_AGE_S:
            return self._kept[1]
        found = [await self._one(name, path) for name, path in self.folders.items()]
        self._kept = (now, found)
        return found

    async def _one(self, name: str, path: Path) -> Disk:
        pending = self._pending.get(name)
        if pending is None or pending.done():
            threads = ThreadPoolExecutor(1, f"disk-{name}")
            pending = self._pending[name] = threads.submit(_usage, path)
            threads.shutdown(wait=False)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                free, total = await asyncio.shield(asyncio.wrap_future(pending))
        except (TimeoutError, OSError):
            return Disk(name)
        return Disk(name, free, total)


def _usage(path: Path) -> tuple[int, int]:
    found = shutil.disk_usage(path)
    return found.free, found.total
