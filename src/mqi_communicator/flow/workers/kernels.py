"""Compiled code is kept in the workspace, and made when a communicator starts: no case waits for a compiler."""

from __future__ import annotations

import contextlib
import hashlib
import os
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mqi_communicator.flow.workers.pool import CACHE, KERNELS, WorkerPool


def cache_of(workspace: Path) -> Path:
    """The folder of compiled code: where NUMBA_CACHE_DIR says, else in the workspace."""
    named = os.environ.get(CACHE)
    return Path(named) if named else workspace / "kernels"


async def make_kernels(workers: WorkerPool, folder: Path) -> None:
    """Have the kernels compiled into a folder in a process of its own, if this version of them is not there yet.

    A fault of the desk if that fails; it costs time only, since whoever needs them compiles them then.
    """
    mark = folder / f"made-{_stamp()}"
    if not mark.exists():
        await workers.run(compile_kernels, mark)


def compile_kernels(mark: Path) -> None:
    """Compile what is not in the cache yet, and leave a mark. Without a cache that can be written there is none."""
    for name in KERNELS:
        import_module(name)
    with contextlib.suppress(OSError):
        mark.touch()


def _stamp() -> str:
    """What compiled code belongs to: its source and its compiler."""
    found = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for name in KERNELS:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found.update(Path(spec.origin).read_bytes())
    return found.hexdigest()[:16]
