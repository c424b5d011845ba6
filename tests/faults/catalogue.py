"""Every fault by its name: a function that injects it and undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from random import Random

from tests.faults.testbed import Testbed

Act = Callable[[Testbed, Random], Iterator[None]]
MODULES = ("network", "host", "local", "store", "disks", "stored_files", "watched", "engine", "orders", "slurm")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `duration_s`: minimum and maximum; both 0: it is instantaneous.

    `mounted`: needs private disks. `refuses`: while it lasts a communicator may refuse to start.
    `action_required`: while it lasts, and work needs the host, the operator must be informed.
    """

    name: str
    what: str
    act: Callable[[Testbed, Random], AbstractContextManager[None]]
    duration_s: tuple[float, float] = (0, 0)
    mounted: bool = False
    refuses: bool = False
    action_required: bool = False
    rare: bool = False  # it takes long
    corrupts: bool = False  # a stored file: its case may fail, and is dropped again
    backend: str = ""  # it befalls only jobs that run so: direct, slurm


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    duration_s: tuple[float, float] = (0, 0),
    *,
    mounted: bool = False,
    refuses: bool = False,
    action_required: bool = False,
    rare: bool = False,
    corrupts: bool = False,
    backend: str = "",
) -> Callable[[Act], Act]:
    """Add a function to the catalogue: the code before its `yield` injects the fault, the code after it undoes it."""

    def enter(act: Act) -> Act:
        what = " ".join((act.__doc__ or "").split())
        _FAULTS[name] = Fault(
            name, what, contextmanager(act), duration_s, mounted, refuses, action_required, rare, corrupts, backend
        )
        return act

    return enter


def faults() -> dict[str, Fault]:
    """All faults, in the order of their modules."""
    for module in MODULES:
        import_module(f"tests.faults.catalogue_{module}")
    return _FAULTS
