"""Mean and spread of a machine's cases."""

from __future__ import annotations

import pytest

from mqi_communicator.results.trend import Row, Spread, Trend, largest_deviation, spread

pytestmark = pytest.mark.pure


def test_the_spread_is_twice_the_deviation_of_a_sample():
    found = spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.cases, found.mean) == (8, 5.0)
    assert found.two_sd == pytest.approx(2 * (32 / 7) ** 0.5)


def test_few_values_have_no_spread():
    assert spread([]) == Spread(0, None, None)
    assert spread([3.0]) == Spread(1, 3.0, None)


def test_what_a_case_lacks_does_not_count():
    rows = (Row("a", 1.0, "pass", 99.0, 1.01, None), Row("b", 2.0, "pass", None, 0.99, -0.4))
    trend = Trend("G1", rows)
    assert trend.spread("gamma") == Spread(1, 99.0, None)
    assert trend.spread("dose_scale").mean == pytest.approx(1.0)
    assert trend.spread("range_r80") == Spread(1, -0.4, None)


def test_the_worst_range_keeps_its_sign():
    assert largest_deviation([0.3, -1.2, 1.0]) == -1.2
    assert largest_deviation([]) is None
