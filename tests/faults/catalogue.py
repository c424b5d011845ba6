"""Every fault by its name: a small function that makes it, and undoes it when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from random import Random

from tests.faults.testbed import Testbed

Act = Callable[[Testbed, Random], Iterator[None]]
MODULES = ("network", "host", "local", "store", "disks", "stored_files", "watched", "engine", "orders")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `lasts`: from how many to how many seconds; both 0: it happens and is over.

    `mounted`: needs disks of its own. `refuses`: while it lasts a communicator may refuse to start.
    `person`: while it lasts, and work needs the host, a person must be called.
    """

    name: str
    what: str
    act: Callable[[Testbed, Random], AbstractContextManager[None]]
    duration_s: tuple[float, float] = (0, 0)
    mounted: bool = False
    refuses: bool = False
    action_required: bool = False
    rare: bool = False  # it takes long
    corrupts: bool = False  # what lies somewhere: its case may stop, and a person drops it again


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
) -> Callable[[Act], Act]:
    """Enter a function into the catalogue: what it does before its `yield` is the fault, what comes after undoes it."""

    def enter(act: Act) -> Act:
        what = " ".join((act.__doc__ or "").split())
        _FAULTS[name] = Fault(
            name, what, contextmanager(act), duration_s, mounted, refuses, action_required, rare, corrupts
        )
        return act

    return enter


def faults() -> dict[str, Fault]:
    """All of them, in the order of their rooms."""
    for module in MODULES:
        import_module(f"tests.faults.catalogue_{module}")
    return _FAULTS
