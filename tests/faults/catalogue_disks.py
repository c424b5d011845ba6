"""Full disks and read-only ones, here and on the host. Each disk is a small file system of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed


@fault("disk full there", (3, 6), mounted=True, action_required=True)
def full_there(testbed: Testbed, random: Random) -> Iterator[None]:
    """The host's disk is full to the last bytes; later there is space again."""
    with _filled(testbed.machine.remote, random):
        yield


@fault("disk full here", (3, 9), mounted=True, refuses=True)
def full_here(testbed: Testbed, random: Random) -> Iterator[None]:
    """The disk of the workspace, with the store on it, is full; later there is space again."""
    with _filled(testbed.workspace, random):
        yield


@fault("results folder full", (3, 9), mounted=True)
def full_results(testbed: Testbed, random: Random) -> Iterator[None]:
    """The disk of the results is full; later there is space again."""
    with _filled(testbed.results, random):
        yield


@fault("read-only there", (3, 9), mounted=True)
def readonly_there(testbed: Testbed, _: Random) -> Iterator[None]:
    """The host's disk is read-only (if nothing is being written at this moment)."""
    with _readonly(testbed.machine.remote):
        yield


@fault("results folder read-only", (3, 9), mounted=True)
def readonly_results(testbed: Testbed, _: Random) -> Iterator[None]:
    """The disk of the results is read-only."""
    with _readonly(testbed.results):
        yield


@contextmanager
def _filled(disk: Path, random: Random) -> Iterator[None]:
    """Leave a few kB free at first, and nothing a moment later."""
    filler = disk / ".filler"
    left = random.choice((0, 4096, 100_000))
    try:
        state = os.statvfs(disk)
        with suppress(OSError), filler.open("wb") as file:
            module = max(0, state.f_bavail * state.f_frsize - left)
            while module > 0:
                module -= file.write(b"\0" * min(module, 1 << 20))
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextmanager
def _readonly(disk: Path) -> Iterator[None]:
    mounted = _mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        if mounted:
            subprocess.run(("mount", "-o", "remount,rw", str(disk)), check=True, capture_output=True)


def _mount(*words: str) -> bool:
    return subprocess.run(("mount", *words), check=False, capture_output=True).returncode == 0
