"""What engines do. The next job of any beam that begins has the fault; the one after it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import ENGINE_S, Testbed
from tests.fleet.checker import runs_of

PATIENCE_S = 20.0


def _misbehave(testbed: Testbed, word: str) -> Iterator[None]:
    before = len(runs_of(testbed.witness))
    testbed.behave(fault=word)
    testbed.missed = not testbed.until(lambda: len(runs_of(testbed.witness)) > before, PATIENCE_S)
    testbed.behave(fault="")
    yield


@fault("engine never ends", rare=True)
def hangs(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine never ends and ignores SIGTERM. Its job is ended at its time limit, and an operator must decide."""
    before = len(runs_of(testbed.witness))
    with contextmanager(_misbehave)(testbed, "hang"):
        testbed.damaged |= {run.case for run in runs_of(testbed.witness)[before:]}
        yield


@fault("engine leaves a child")
def forks(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine leaves a process behind that starts its own session."""
    yield from _misbehave(testbed, "fork")


@fault("engine fills the disk", mounted=True)
def fills(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine writes until the host's disk is full."""
    yield from _misbehave(testbed, "fill")


@fault("engine crashes")
def crashes(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine exits with an error before it has computed anything."""
    yield from _misbehave(testbed, "crash")


@fault("engine crashes at the save")
def crashes_late(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine is killed by SIGSEGV after it has written its dose."""
    yield from _misbehave(testbed, "save-crash")


@fault("product too short")
def short(testbed: Testbed, _: Random) -> Iterator[None]:
    """An engine writes half of its dose and reports success."""
    yield from _misbehave(testbed, "short")


@fault("engine slow", (3, 8))
def slow(testbed: Testbed, _: Random) -> Iterator[None]:
    """Engines take ten times as long."""
    testbed.behave(seconds=10 * ENGINE_S)
    yield
    testbed.behave(seconds=ENGINE_S)
