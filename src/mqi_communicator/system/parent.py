"""What a child process of the communicator requests from the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, however that happens."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_before_the_communicator(oom_score: int) -> None:
    """Have the kernel end this process first where memory runs out: its work is repeated.

    `oom_score` (proc(5), oom_score_adj): 500 of 1000 is as if it used half of the memory besides its own.
    """
    score = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):
        score.write_text(str(max(oom_score, int(score.read_text()))), encoding="ascii")
