"""The kernel of gamma against its referees: pymedphys, which is for tests alone, and a brute force."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.results.referees import PAIRS, brute_force, dose, known, pymedphys_gamma, thorough

from mqi_communicator.dicom.records import Grid
from mqi_communicator.results.gamma import Limits, gamma_index
from mqi_communicator.results.gamma_kernel import EDGE, MARGIN
from mqi_communicator.results.options import GammaOptions

GLOBAL, LOCAL = GammaOptions(), GammaOptions(dose_percent=2, distance_mm=3)
BOTH = [(name, name in ("agreeing", "steep", "noisy", "holes")) for name in PAIRS]
BOTH += [(name, False) for name in ("agreeing", "steep", "holes")]
WORST = 5  # points of a pair that are looked at with the finest steps, which take long
CEILING = 2.0
pytestmark = pytest.mark.thorough
needs_pymedphys = pytest.mark.skipif(sys.version_info >= (3, 13), reason="pymedphys refuses this Python")


def options_of(local):
    return LOCAL if local else GLOBAL


@cache
def ours(name, local):
    planned, computed = PAIRS[name]
    return gamma_index(planned, computed, options_of(local), local=local, ceiling=CEILING)


@needs_pymedphys
@pytest.mark.long
@pytest.mark.parametrize(("name", "local"), BOTH)
def test_pymedphys_passes_and_fails_the_same_points(name, local):
    (planned, computed), options, found = PAIRS[name], options_of(local), ours(name, local)
    counted = np.isfinite(found.gamma)
    both = counted & known(planned, computed)
    assert found.counted == counted.sum()
    assert found.lost == (counted & ~both).sum()
    assert (found.gamma[counted & ~both] == CEILING).all()
    theirs = pymedphys_gamma(planned, computed, options, both, local=local, ceiling=1.2)
    mine = np.minimum(found.gamma[both], 1.2)
    assert mine.size > 500
    assert (mine <= theirs + MARGIN).all()  # their positions are some of ours
    wrongly = (mine > 1) & (theirs <= 1 - EDGE)
    assert not wrongly.any()
    missed = np.flatnonzero((mine <= 1) & (theirs > 1))  # by their step of a tenth, if we are right
    worst = missed[np.argsort(theirs[missed])[-WORST:]]
    asked = np.zeros(mine.size, dtype=bool)
    asked[worst] = True
    where = np.zeros(both.shape, dtype=bool)
    where[both] = asked
    if asked.any():
        fine = pymedphys_gamma(planned, computed, options, where, local=local, steps=50, ceiling=1.1)
        assert (fine <= 1.02).all(), fine


def test_the_pairs_have_points_that_pass_and_points_that_fail_on_both_sides():
    rates = [ours(name, local).percent for name, local in BOTH]
    assert max(rates) == 100
    assert sum(50 < rate < 99.9 for rate in rates) > 10


@pytest.mark.parametrize(("name", "local"), BOTH)
def test_a_brute_force_finds_no_better_position_and_where_its_lattice_is_fine_enough_the_same(name, local):
    (planned, computed), options, found = PAIRS[name], options_of(local), ours(name, local)
    index = np.argwhere(np.isfinite(found.gamma) & known(planned, computed))
    index = np.random.default_rng(5).permutation(index)[:40]
    mine = found.gamma[tuple(index.T)]
    best = brute_force(planned, computed, options, index, local=local)
    assert (mine <= best + MARGIN).all()
    below = mine < 0.95  # beyond 1 it does not look
    assert below.sum() > 10
    if not local:  # 2 % of a low dose is less than one step of the lattice changes at an edge
        assert (best[below] <= mine[below] + 0.03).mean() >= 0.9


@pytest.mark.parametrize(("name", "local"), BOTH)
def test_the_same_points_pass_whether_values_are_asked_for_or_not(name, local):
    (planned, computed), options, found = PAIRS[name], options_of(local), ours(name, local)
    quick = gamma_index(planned, computed, options, local=local)
    assert (quick.counted, quick.passed, quick.lost) == (found.counted, found.passed, found.lost)
    assert np.array_equal(quick.gamma <= 1, found.gamma <= 1)
    assert found.passed == (found.gamma <= 1).sum()
    other = Limits(options.dose_percent, options.distance_mm, local)
    asked = gamma_index(planned, computed, GammaOptions(dose_percent=1, distance_mm=1), also=[other, Limits(1, 1)])
    assert asked.also_passed == (found.passed, asked.passed)


@st.composite
def _grids(draw):
    shape = tuple(draw(st.integers(1, 5)) for _ in range(3))
    origin = tuple(draw(st.sampled_from([-2.0, -1.3, 0.0, 0.7])) for _ in range(3))
    return Grid(shape, origin, tuple(draw(st.sampled_from([0.9, 1.5, 2.0, 3.1])) for _ in range(3)))


@settings(max_examples=30)
@given(
    st.tuples(_grids(), _grids()),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
    st.sampled_from([(3.0, 2.0), (10.0, 3.0), (2.0, 0.6)]),
)
def test_any_two_doses_have_the_gamma_that_a_thorough_search_finds(grids, seed, holes, local, limits):
    chance = np.random.default_rng(seed)
    gy = [chance.uniform(1, 2, grid.shape) for grid in grids]
    planned, computed = (
        dose(grids[0], gy[0]),
        dose(grids[1], np.where(chance.random(gy[1].shape) < holes, np.nan, gy[1])),
    )
    options = GammaOptions(dose_percent=limits[0], distance_mm=limits[1], cutoff_percent=0)
    found = gamma_index(planned, computed, options, local=local, ceiling=CEILING)
    seen = known(planned, computed)
    assert found.counted == planned.gy.size
    assert found.lost == (~seen).sum()
    index = np.argwhere(seen)[:5]
    if len(index):
        mine = found.gamma[tuple(index.T)]
        best = thorough(planned, computed, options, index, mine + 0.1, local=local)
        assert (mine <= best + MARGIN).all()
        # beside a hole only the grid's own planes count, and the centre of a cube misses them
        if not holes:
            assert (best[mine <= 0.9] <= 1).all()
