"""Compiled kernels: where they are kept, and whether they are compiled already. Loads no compiler."""

from __future__ import annotations

import hashlib
import os
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

CACHE = "NUMBA_CACHE_DIR"  # where numba keeps what it has compiled
KERNELS = ("mqi_communicator.results.gamma_kernel",)


def cache_of(workspace: Path) -> Path:
    """The folder of compiled code: where NUMBA_CACHE_DIR says, else in the workspace."""
    named = os.environ.get(CACHE)
    return Path(named) if named else workspace / "kernels"


def mark_of(folder: Path) -> Path:
    """The file that says that this version of the kernels is compiled in `folder`."""
    return folder / f"made-{_stamp()}"


def load_compiled() -> None:
    """Load the kernels if they are compiled in the folder that NUMBA_CACHE_DIR names. They are never compiled here."""
    folder = os.environ.get(CACHE)
    if folder and mark_of(Path(folder)).exists():
        for name in KERNELS:
            import_module(name)


def _stamp() -> str:
    """A digest of what compiled code depends on: its compiler, and its source with the time by which numba knows it."""
    found = hashlib.sha256(f"{version('numba')} {version('llvmlite')}".encode())
    for name in KERNELS:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            source = Path(spec.origin)
            found.update(f"{source.stat().st_mtime_ns}".encode())
            found.update(source.read_bytes())
    return found.hexdigest()[:16]
