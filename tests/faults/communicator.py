"""The communicator under test: the real CLI, with kill points around its ports and a clock that can jump.

python -m tests.faults.communicator run --config FILE
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


def main() -> None:
    os.environ["FAULTS_PID"] = str(os.getpid())
    _let_the_clock_jump()
    from mqi_communicator import background
    from mqi_communicator.cli import main as mqi
    from tests.faults.kill_points import wrap_files, wrap_ports

    background.HOUSEKEEPING_S = 5.0  # not every hour: a round takes a few minutes
    background.FIRST_HEALTH_S = 4.0  # not after a minute: a life is a few seconds long
    background.HEALTH_S = 40.0
    background.CONSTANCY_S = 5.0
    wrap_files()
    wrap_ports()
    mqi()


def _let_the_clock_jump() -> None:
    """Shift the wall clock of this process by the offset in a file; the monotonic clock is not changed."""
    file = Path(os.environ["FAULTS_CLOCK"])
    real = time.time

    def shifted() -> float:
        with suppress(OSError, ValueError):
            return real() + float(file.read_text())
        return real()

    time.time = shifted


if __name__ == "__main__":
    main()
