"""A seed is its script, and consecutive seeds go through every kill point."""

from __future__ import annotations

from tests.faults.catalogue import faults
from tests.faults.points import NEEDS, POINTS
from tests.faults.script import KILLS, script_of

EVERY = list(faults().values())


def test_a_seed_makes_the_same_script_again():
    assert script_of(3, EVERY, POINTS) == script_of(3, EVERY, POINTS)
    assert script_of(3, EVERY, POINTS) != script_of(4, EVERY, POINTS)


def test_consecutive_seeds_go_through_all_kill_points():
    rounds = -(-len(POINTS) // KILLS)
    planned = {point for seed in range(rounds) for point, _nth in script_of(seed, EVERY, POINTS).kills}
    assert planned == set(POINTS)


def test_what_an_effect_needs_befalls_the_round_in_which_it_is_killed_at():
    for seed in range(-(-len(POINTS) // KILLS)):
        script = script_of(seed, EVERY, POINTS)
        for point, _nth in script.kills:
            needed = NEEDS.get(point.rpartition(":")[0])
            assert needed is None or needed in script.faults, point


def test_every_fault_comes_up():
    assert {name for seed in range(200) for name in script_of(seed, EVERY, POINTS).faults} == {f.name for f in EVERY}
