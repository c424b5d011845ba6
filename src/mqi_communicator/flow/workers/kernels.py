"""Compiled code is kept in the workspace, and compiled when a communicator starts: no case waits for a compiler."""

from __future__ import annotations

import contextlib
from importlib import import_module
from pathlib import Path

from mqi_communicator.flow.workers.compiled import KERNELS, mark_of
from mqi_communicator.flow.workers.pool import WorkerPool


async def make_kernels(workers: WorkerPool, folder: Path) -> None:
    """Compile the kernels into `folder` in a worker process, unless this version of them is there already.

    Raises a fault if that fails. It costs time only: the task that needs a kernel compiles it then.
    """
    mark = mark_of(folder)
    if not mark.exists():
        await workers.run(compile_kernels, mark)


def compile_kernels(mark: Path) -> None:
    """Compile what is not in the cache yet, and create a mark. Where the cache cannot be written, there is none."""
    for name in KERNELS:
        import_module(name)
    with contextlib.suppress(OSError):
        mark.touch()
