"""What operators order at the worst moment, by the real command line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed


@fault("cancelled by order")
def cancelled(testbed: Testbed, random: Random) -> Iterator[None]:
    """A case is cancelled, at whatever step it is."""
    if key := _some_case(testbed, random):
        testbed.ordered.add(testbed.number_of(key))
        _order(testbed, "cancel", key)
    yield


@fault("cancelled, then retried", (1, 4))
def thought_better(testbed: Testbed, random: Random) -> Iterator[None]:
    """A case is cancelled and retried a little later."""
    key = _some_case(testbed, random)
    if key:
        testbed.ordered.add(testbed.number_of(key))
        _order(testbed, "cancel", key)
    yield
    if key and testbed.until(lambda: _status(testbed, key) not in ("ready", "waiting", "held"), 60):
        _order(testbed, "retry", key)


@fault("held and released", (1, 6))
def held(testbed: Testbed, random: Random) -> Iterator[None]:
    """A case is held, at whatever step it is, and released later."""
    key = _some_case(testbed, random)
    if key:
        _order(testbed, "hold", key)
    yield
    if key:
        testbed.released.add(key)
        testbed.until(lambda: _order(testbed, "release", key), 60)


@fault("retried without need")
def retried(testbed: Testbed, random: Random) -> Iterator[None]:
    """A retry is ordered for a case without a problem."""
    if key := _some_case(testbed, random):
        _order(testbed, "retry", key)
    yield


@fault("made urgent")
def urgent(testbed: Testbed, random: Random) -> Iterator[None]:
    """A case is given urgent priority."""
    if key := _some_case(testbed, random):
        _order(testbed, "priority", key, "urgent")
    yield


def _some_case(testbed: Testbed, random: Random) -> str:
    """The key of a case that is under way, "" if none is. Its folder may have another key by and by."""
    query = (
        "select key from cases join work_items on key = work_items.'case' "
        "where beam = 0 and status in ('ready', 'waiting')"
    )
    keys = testbed.find(lambda: sorted(key for (key,) in testbed.look_up(query) if testbed.number_of(key)))
    return random.choice(keys) if keys else ""


def _status(testbed: Testbed, key: str) -> str:
    rows = testbed.look_up('select status from work_items where beam = 0 and "case" = ?', key)
    return str(rows[0][0]) if rows else ""


def _order(testbed: Testbed, order: str, key: str, *more: str) -> bool:
    """Whether the order was taken down. The store may be locked, full or damaged at this moment."""
    with suppress(subprocess.TimeoutExpired):
        answer = testbed.mqi(order, key, *more, timeout=300)
        if answer.returncode not in (0, 1):
            testbed.notes.append(f"mqi {order} ended with {answer.returncode}: {answer.stderr.strip()[-200:]}")
        return answer.returncode == 0
    return False
