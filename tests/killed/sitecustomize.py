"""Loaded by every Python process of a communicator under test: ends it with SIGKILL once, at the point KILL_AT.

A point is "before" or "after", and the name of the file that gets its name then.
"""

from __future__ import annotations

import os
import pathlib
import signal
from typing import Any

os.environ.setdefault("KILL_ROOT", str(os.getpid()))  # the communicator; its workers inherit it


def _end() -> None:
    marker = pathlib.Path(os.environ["KILL_MARKER"])
    if marker.exists():
        return
    marker.touch()
    os.kill(int(os.environ["KILL_ROOT"]), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(method: Any, target: Any) -> Any:
    def call(self: pathlib.Path, other: Any) -> Any:
        moment, _, name = os.environ["KILL_AT"].partition(" ")
        here = pathlib.Path(target(self, other)).name == name
        if here and moment == "before":
            _end()
        result = method(self, other)
        if here and moment == "after":
            _end()
        return result

    return call


if "KILL_AT" in os.environ:
    pathlib.Path.rename = _wrapped(pathlib.Path.rename, lambda _self, other: other)  # type: ignore[method-assign]
    pathlib.Path.hardlink_to = _wrapped(pathlib.Path.hardlink_to, lambda self, _other: self)  # type: ignore[method-assign]
