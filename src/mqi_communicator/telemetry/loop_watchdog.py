"""Detects a blocked event loop from a thread of its own, and reports where it is blocked.

It only reports: /healthz and systemd's watchdog depend on the loop itself.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

_FRAMES = 8


class LoopWatchdog:
    """`age` returns the time since the last turn, in s; `report` is called once whenever it exceeds `limit_s`."""

    def __init__(
        self, age: Callable[[], float], limit_s: float, report: Callable[[float, Sequence[str]], None]
    ) -> None:
        self._age, self._limit, self._report = age, limit_s, report
        self._watched = threading.main_thread().ident
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        """Watch until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _watch(self) -> None:
        reported = False
        while not self._stopped.wait(self._limit / 4):
            late = self._age() > self._limit
            if late and not reported:
                self._report(self._age(), self._where())
            reported = late

    def _where(self) -> list[str]:
        """The innermost frames of the main thread: file, line and function, no values."""
        frame = sys._current_frames().get(self._watched or 0)  # noqa: SLF001 - the documented way
        found = traceback.extract_stack(frame)[-_FRAMES:] if frame is not None else []
        return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(found)]
