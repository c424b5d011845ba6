"""Rows of a log are merged to short pieces, whatever the noise, and neither MU nor first moments are lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqi_communicator.treatment.pieces import merged

SIGMA = 3.6  # mm: pieces of 0.15 mm


def line(rows, length, noise=0.0, seed=1):
    """Positions of an even movement along x, and counts."""
    random = np.random.default_rng(seed)
    positions = np.stack([np.linspace(0, length, rows), np.zeros(rows)], axis=1)
    return positions + random.normal(0, noise, (rows, 2)), random.integers(0, 900, rows).astype(np.float64)


def paintings(*counts):
    return np.repeat(np.arange(len(counts)), counts)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.floats(0, 60), st.floats(0, 0.3), st.integers(0, 99))
def test_counts_and_first_moments_of_each_painting_are_kept(rows, length, noise, seed):
    positions, counts = line(rows, length, noise, seed)
    painted = paintings(rows // 3, rows - rows // 3)
    places, total, found = merged(positions, counts, painted, SIGMA)
    for painting in (0, 1):
        before, after = painted == painting, found == painting
        assert total[after].sum() == pytest.approx(counts[before].sum(), rel=1e-12)
        assert total[after] @ places[after] == pytest.approx(counts[before] @ positions[before], rel=1e-9, abs=1e-6)


def test_without_noise_pieces_are_shorter_than_a_24th_of_a_sigma():
    positions, counts = line(4000, 100.0)
    places, total, _ = merged(positions, counts + 1, paintings(4000), SIGMA)
    assert len(total) == pytest.approx(100 / (SIGMA / 24), rel=0.25)
    assert np.abs(np.diff(places[:, 0])).max() < 2 * SIGMA / 24


def test_noise_does_not_keep_the_rows_of_a_spot_apart():
    """The way of 2000 rows that lie 0.1 mm about one point is 350 mm long."""
    positions, counts = line(2000, 0.0, noise=0.1)
    places, total, _ = merged(positions, counts + 1, paintings(2000), SIGMA)
    assert len(total) < 600
    assert total @ places == pytest.approx((counts + 1) @ positions)


def test_two_spots_are_never_merged_however_large_the_noise():
    still, counts = line(500, 0.0, noise=0.5)
    positions = np.concatenate([still, still + np.asarray((5.0, 0.0))])
    places, total, _ = merged(positions, np.concatenate([counts, counts]), paintings(1000), SIGMA)
    first = places[:, 0] < 2.5
    assert total[first].sum() == pytest.approx(counts.sum())
