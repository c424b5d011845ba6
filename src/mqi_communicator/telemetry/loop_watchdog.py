"""Watches from a thread of its own whether the loop still turns, and says where it stands when it does not.

It only tells: health and systemd's watchdog hear from the loop itself, or hear nothing.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

_FRAMES = 8


class LoopWatchdog:
    """`age` says how old the last turn is, in s; `tell` is called once for each time it gets older than `limit_s`."""

    def __init__(self, age: Callable[[], float], limit_s: float, tell: Callable[[float, Sequence[str]], None]) -> None:
        self._age, self._limit, self._tell = age, limit_s, tell
        self._watched = threading.main_thread().ident
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="lookout", daemon=True)

    def begin(self) -> None:
        """Watch until `end`."""
        self._thread.start()

    def end(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _look(self) -> None:
        told = False
        while not self._over.wait(self._limit / 4):
            late = self._age() > self._limit
            if late and not told:
                self._tell(self._age(), self._where())
            told = late

    def _where(self) -> list[str]:
        """The innermost places of the main thread: file, line and function, no values."""
        frame = sys._current_frames().get(self._watched or 0)  # noqa: SLF001 - the documented way
        found = traceback.extract_stack(frame)[-_FRAMES:] if frame is not None else []
        return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(found)]
