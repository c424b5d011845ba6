"""Compiled code is kept in the workspace, and compiled when a communicator starts: no case waits for a compiler."""

from __future__ import annotations

import contextlib
import hashlib
import os
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mqi_communicator.flow.workers.child import CACHE
from mqi_communicator.flow.workers.pool import WorkerPool

KERNELS = ("mqi_communicator.results.gamma_kernel",)


def cache_of(workspace: Path) -> Path:
    """The folder of compiled code: where NUMBA_CACHE_DIR says, else in the workspace."""
    named = os.environ.get(CACHE)
    return Path(named) if named else workspace / "kernels"


async def make_kernels(workers: WorkerPool, folder: Path) -> None:
    """Compile the kernels into `folder` in a worker process, unless this version of them is there already.

    Raises a fault if that fails. It costs time only: the task that needs a kernel compiles it then.
    """
    mark = folder / f"made-{_stamp()}"
    if not mark.exists():
        await workers.run(compile_kernels, mark)


def compile_kernels(mark: Path) -> None:
    """Compile what is not in the cache yet, and create a mark. Where the cache cannot be written, there is none."""
    for name in KERNELS:
        import_module(name)
    with contextlib.suppress(OSError):
        mark.touch()


def _stamp() -> str:
    """A digest of what compiled code depends on: its source and its compiler."""
    found = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for name in KERNELS:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found.update(Path(spec.origin).read_bytes())
    return found.hexdigest()[:16]
