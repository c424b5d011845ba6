"""What engines do. The next job of any beam that begins has the fault; the one after it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import TAKES_S, Ground
from tests.fleet.checker import runs_of

PATIENCE_S = 20.0


def _misbehave(ground: Ground, word: str) -> Iterator[None]:
    before = len(runs_of(ground.witness))
    ground.behave(fault=word)
    ground.vain = not ground.until(lambda: len(runs_of(ground.witness)) > before, PATIENCE_S)
    ground.behave(fault="")
    yield


@fault("engine never ends", rare=True)
def hangs(ground: Ground, _: Random) -> Iterator[None]:
    """An engine never ends, and ignores SIGTERM. Its job is ended at its limit, and a person is asked what to do."""
    before = len(runs_of(ground.witness))
    with contextmanager(_misbehave)(ground, "hang"):
        ground.damaged |= {run.case for run in runs_of(ground.witness)[before:]}
        yield


@fault("engine leaves a child")
def forks(ground: Ground, _: Random) -> Iterator[None]:
    """An engine leaves a process behind that goes into a session of its own."""
    yield from _misbehave(ground, "fork")


@fault("engine fills the disk", mounted=True)
def fills(ground: Ground, _: Random) -> Iterator[None]:
    """An engine writes until the host's disk is full."""
    yield from _misbehave(ground, "fill")


@fault("engine crashes")
def crashes(ground: Ground, _: Random) -> Iterator[None]:
    """An engine ends with an error before it has computed anything."""
    yield from _misbehave(ground, "crash")


@fault("engine crashes at the save")
def crashes_late(ground: Ground, _: Random) -> Iterator[None]:
    """An engine is killed by SIGSEGV when it has written its dose."""
    yield from _misbehave(ground, "save-crash")


@fault("product too short")
def short(ground: Ground, _: Random) -> Iterator[None]:
    """An engine writes half of its dose and says that all is well."""
    yield from _misbehave(ground, "short")


@fault("engine slow", (3, 8))
def slow(ground: Ground, _: Random) -> Iterator[None]:
    """Engines take ten times as long."""
    ground.behave(seconds=10 * TAKES_S)
    yield
    ground.behave(seconds=TAKES_S)
