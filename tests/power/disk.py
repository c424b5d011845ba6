"""A disk that can lose its power: a mounted `lossy` file system."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


def reason_missing() -> str:
    """Why such a disk cannot be had here, "" if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if ctypes.util.find_library("fuse3") is None:
        return "the library fuse3 is missing (Debian: libfuse3-3)"
    if importlib.util.find_spec("mfusepy") is None:
        return "the Python package mfusepy is missing"
    return "" if os.getuid() == 0 else "only root can mount it without a program of its own"


class Disk:
    """Mounted at `path` until the power is cut; `stored` holds what it keeps."""

    def __init__(self, path: Path, stored: Path) -> None:
        self.path, self.stored = path, stored
        for folder in (path, stored):
            folder.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        """Mount it."""
        argv = (sys.executable, "-m", "tests.power.lossy", str(self.stored), str(self.path))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        self._process = subprocess.Popen(argv, cwd=ROOT, env=environment)
        end = time.monotonic() + PATIENCE_S
        while not self.path.is_mount():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the file system was not mounted")
            time.sleep(0.05)

    def cut(self) -> None:
        """Cut the power: it is unmounted, and what was not durable is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None
