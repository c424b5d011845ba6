"""What operators order at the worst moment, by the real command line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from tests.faults.catalogue import fault
from tests.faults.ground import Ground


@fault("cancelled by order")
def cancelled(ground: Ground, random: Random) -> Iterator[None]:
    """A case is cancelled wherever it is."""
    if number := _some_case(ground, random):
        ground.ordered.add(number)
        _order(ground, "cancel", number)
    yield


@fault("cancelled, then retried", (1, 4))
def thought_better(ground: Ground, random: Random) -> Iterator[None]:
    """A case is cancelled, and a little later somebody thinks better of it."""
    number = _some_case(ground, random)
    if number:
        ground.ordered.add(number)
        _order(ground, "cancel", number)
    yield
    if number and ground.until(lambda: _status(ground, number) not in ("ready", "waiting", "held"), 60):
        _order(ground, "retry", number)


@fault("held and released", (1, 6))
def held(ground: Ground, random: Random) -> Iterator[None]:
    """A case is held wherever it is, and released later."""
    number = _some_case(ground, random)
    if number:
        _order(ground, "hold", number)
    yield
    if number:
        ground.until(lambda: _order(ground, "release", number), 60)


@fault("retried without need")
def retried(ground: Ground, random: Random) -> Iterator[None]:
    """Somebody orders a retry of a case with which nothing is wrong."""
    if number := _some_case(ground, random):
        _order(ground, "retry", number)
    yield


@fault("made urgent")
def urgent(ground: Ground, random: Random) -> Iterator[None]:
    """A case goes before all others."""
    if number := _some_case(ground, random):
        _order(ground, "priority", number, "urgent")
    yield


def _some_case(ground: Ground, random: Random) -> int:
    """A case that is under way, 0 if none is."""
    query = "select key from cases join lines on key = lines.'case' where beam = 0 and status in ('ready', 'waiting')"
    numbers = ground.find(
        lambda: sorted(number for (key,) in ground.look_up(query) if (number := ground.number_of(key)))
    )
    return random.choice(numbers) if numbers else 0


def _status(ground: Ground, number: int) -> str:
    rows = ground.look_up('select status from lines where beam = 0 and "case" = ?', ground.key_of(number))
    return str(rows[0][0]) if rows else ""


def _order(ground: Ground, order: str, number: int, *more: str) -> bool:
    """Whether the order was taken down. The store may be locked, full or damaged at this moment."""
    key = ground.key_of(number)
    if not key:
        return False
    with suppress(subprocess.TimeoutExpired):
        answer = ground.mqi(order, key, *more, timeout=300)
        if answer.returncode not in (0, 1):
            ground.notes.append(f"mqi {order} ended with {answer.returncode}: {answer.stderr.strip()[-200:]}")
        return answer.returncode == 0
    return False
