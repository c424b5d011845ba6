"""Every fault by its name: a small function that makes it, and undoes it when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from random import Random

from tests.faults.testbed import Ground

Act = Callable[[Ground, Random], Iterator[None]]
ROOMS = ("network", "host", "local", "store", "disks", "stored_files", "watched", "engine", "orders")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `lasts`: from how many to how many seconds; both 0: it happens and is over.

    `mounted`: needs disks of its own. `refuses`: while it lasts a communicator may refuse to start.
    `person`: while it lasts, and work needs the host, a person must be called.
    """

    name: str
    what: str
    act: Callable[[Ground, Random], AbstractContextManager[None]]
    lasts: tuple[float, float] = (0, 0)
    mounted: bool = False
    refuses: bool = False
    person: bool = False
    rare: bool = False  # it takes long
    spoils: bool = False  # what lies somewhere: its case may stop, and a person drops it again


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    lasts: tuple[float, float] = (0, 0),
    *,
    mounted: bool = False,
    refuses: bool = False,
    person: bool = False,
    rare: bool = False,
    spoils: bool = False,
) -> Callable[[Act], Act]:
    """Enter a function into the catalogue: what it does before its `yield` is the fault, what comes after undoes it."""

    def enter(act: Act) -> Act:
        what = " ".join((act.__doc__ or "").split())
        _FAULTS[name] = Fault(name, what, contextmanager(act), lasts, mounted, refuses, person, rare, spoils)
        return act

    return enter


def faults() -> dict[str, Fault]:
    """All of them, in the order of their rooms."""
    for room in ROOMS:
        import_module(f"tests.faults.catalogue_{room}")
    return _FAULTS
