"""A seed is its script, and consecutive seeds go through every kill point."""

from __future__ import annotations

from itertools import pairwise

from tests.faults.catalogue import faults
from tests.faults.points import AFTER, FIRST, NEEDS, POINTS, points_of
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
            assert set(NEEDS.get(point.rpartition(":")[0], ())) <= set(script.faults), point


def test_the_life_before_ends_where_an_effect_needs_it():
    found = set()
    for seed in range(2 * len(POINTS)):
        lives = [point for point, _nth in script_of(seed, EVERY, POINTS).kills]
        for before, point in pairwise(["", *lives]):
            effect = point.rpartition(":")[0]
            if effect in AFTER:
                assert before in (AFTER[effect], f"{effect}:before")
                found.add(effect)
    assert found == set(AFTER)


def test_what_comes_about_once_is_the_end_of_the_first_life():
    for seed in range(len(POINTS)):
        lives = [point.startswith(FIRST) for point, _nth in script_of(seed, EVERY, POINTS).kills]
        assert lives == sorted(lives, reverse=True)


def test_every_fault_comes_up():
    assert {name for seed in range(200) for name in script_of(seed, EVERY, POINTS).faults} == {f.name for f in EVERY}


def test_slurm_has_its_own_requests_and_otherwise_the_same_kill_points():
    of_slurm = set(points_of("slurm")) - set(POINTS)
    assert {point.partition(":")[2].rpartition(":")[0] for point in of_slurm} == {
        "slurm_submit",
        "slurm_poll",
        "slurm_cancel",
    }
    assert len(points_of("slurm")) == len(POINTS)
