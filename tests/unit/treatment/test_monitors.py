"""The ratio of the two monitors is compared within a layer: no error hides in it, and noise is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqi_communicator.treatment.sumitomo.monitors import deviation, wrong_ratio

STEPS = (2.978723, 2.978723)
LEAST, LIMIT, RATIO = 467_000.0, 0.01, 0.97
COUNTS = 40_000.0  # of a row: 12 rows are a part


def layer(rows, noise=0.0, seed=1, counts=COUNTS):
    """Counts of both monitors in rows of different intensity, rounded as they are recorded."""
    random = np.random.default_rng(seed)
    meant = counts * random.uniform(0.2, 1.8, rows)
    both = [factor * meant * (1 + noise * random.standard_normal(rows)) for factor in (1.0, RATIO)]
    return [step * np.rint(np.maximum(one, 0) / step) for one, step in zip(both, STEPS, strict=True)]


def found(first, second):
    return deviation(first, second, STEPS, LEAST, LIMIT)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20_000), st.floats(0, 0.2), st.integers(0, 2**32), st.sampled_from([10.0, 300.0, COUNTS]))
def test_noise_alone_is_no_deviation(rows, noise, seed, counts):
    assert found(*layer(rows, noise, seed, counts)) is None


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("factor", [0.0, 0.9, 0.96, 1.05, 3.0])
@pytest.mark.parametrize("monitor", [0, 1])
def test_an_error_of_a_part_is_found_where_it_is(noise, factor, monitor):
    both = layer(20_000, noise)
    before = both[0][:6000].sum()
    both[monitor][6000:9000] *= factor
    wrong = found(*both)
    assert wrong is not None
    assert 0.999 * before - wrong.counts <= wrong.before <= 1.001 * before + 3000 * 2 * COUNTS
    assert wrong.expected == pytest.approx(RATIO, rel=0.005)


def test_a_few_rows_in_which_a_monitor_counted_nothing_are_found():
    for monitor in (0, 1):
        both = layer(20_000, 0.01)
        both[monitor][500:560] = 0.0
        assert found(*both) is not None


def test_a_drift_by_more_than_the_limit_is_found_and_a_smaller_one_is_none():
    first, second = layer(20_000, 0.01)
    assert found(first, second * np.linspace(0.97, 1.03, 20_000)) is not None
    assert found(first, second * np.linspace(0.996, 1.004, 20_000)) is None


def test_layers_are_compared_with_the_median_and_a_monitor_without_counts_is_refused():
    assert wrong_ratio({1: 0.97, 2: 0.971, 3: 0.969}, 1.0) == ""
    assert wrong_ratio({1: 0.97, 2: 0.99, 3: 0.97}, 1.0).startswith(
        "layer 2: the second monitor has 0.990 of the first"
    )
    assert wrong_ratio({1: 0.97, 2: 0.99, 3: 0.97}, 3.0) == ""
    assert wrong_ratio({1: 0.0, 2: 0.0}, 1.0) == "the second monitor has no counts"
