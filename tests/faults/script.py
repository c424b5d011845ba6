"""The script of faults of a round, determined by its seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.catalogue import Fault
from tests.faults.points import AFTER, FIRST, NEEDS

KILLS = 12  # planned kills in a round


@dataclass(frozen=True, slots=True)
class Step:
    """One lasting fault, the instantaneous faults while it lasts, and the rest afterwards."""

    name: str
    seed: int
    seconds: float
    once: tuple[tuple[str, int], ...]
    rest: float


@dataclass(frozen=True, slots=True)
class Script:
    """A round: its steps, and the kill points of the communicator's lives, in order."""

    seed: int
    steps: tuple[Step, ...]
    kills: tuple[tuple[str, int], ...]  # (point, at which passage)
    cases: int

    @property
    def faults(self) -> list[str]:
        """The names of all faults, in order."""
        return [name for step in self.steps for name in (step.name, *(once for once, _seed in step.once))]


def script_of(
    seed: int,
    faults: Sequence[Fault],
    points: Sequence[str],
    *,
    steps: int = 8,
    once: int = 56,
    kills: int = KILLS,
    cases: int = 12,
) -> Script:
    """The script of a seed. Consecutive seeds go through all kill points in turn."""
    random = Random(f"script {seed}")
    lasting = [fault for fault in faults if fault.duration_s[1] > 0]
    instant = [fault for fault in faults if fault.duration_s[1] == 0]
    mine = [points[(seed * kills + number) % len(points)] for number in range(kills)] if points else []
    mine.sort(key=lambda point: not point.startswith(FIRST))
    chosen = random.sample([fault for fault in lasting if not fault.rare or random.random() < 0.1], steps)
    extra = random.choices([fault for fault in instant if not fault.rare or random.random() < 0.3], k=once)
    corrupting = [fault for fault in extra if fault.corrupts]  # each costs a case: one per round is enough
    extra = [fault for fault in extra if not fault.corrupts] + corrupting[:1]
    needed = {name for point in mine for name in NEEDS.get(point.rpartition(":")[0], ())}
    extra += [fault for fault in faults if fault.name in needed]
    at = [random.randrange(steps) for _ in extra]
    planned = tuple(
        Step(
            name=fault.name,
            seed=random.randrange(1 << 30),
            seconds=random.uniform(*fault.duration_s),
            once=tuple(
                (one.name, random.randrange(1 << 30)) for one, step in zip(extra, at, strict=True) if step == number
            ),
            rest=random.uniform(0.5, 4),
        )
        for number, fault in enumerate(chosen)
    )
    return Script(seed, planned, tuple(_lives(mine, random)), cases)


def _lives(points: Sequence[str], random: Random) -> Iterator[tuple[str, int]]:
    """The planned ends of the lives, with the end that a previous life must have."""
    before = ""
    for point in points:
        effect = point.rpartition(":")[0]
        if effect in AFTER and before != f"{effect}:before":
            yield AFTER[effect], 1
        yield point, 1 if effect in (*AFTER, *NEEDS, *FIRST) else random.choice((1, 1, 1, 2))
        before = point


def script_only(seed: int, faults: Sequence[Fault], points: Sequence[str], *, cases: int = 2) -> Script:
    """These faults, each once and in this order, and these kill points."""
    random = Random(f"only {seed}")
    steps = tuple(
        Step(fault.name, random.randrange(1 << 30), random.uniform(*fault.duration_s), (), random.uniform(2, 4))
        for fault in faults
    )
    return Script(seed, steps, tuple((point, 1) for point in points), cases)
