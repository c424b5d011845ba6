"""The report's data as the charts of a page."""

from __future__ import annotations

import pytest
from tests.reported import reported

from mqi_communicator.web.record import read_record

pytestmark = pytest.mark.pure


def test_the_curves_are_where_their_values_are():
    chart = read_record(reported()).chart
    points = [tuple(map(float, point.split(","))) for point in chart.curves[0].planned.split()]
    assert (points[0], points[-1]) == ((44, 8), (630, 264))
    assert points[90] == (44 + 0.9 * 586, 8 + 128)  # half of the volume
    assert [tick.text for tick in chart.across] == ["0", "2", "4", "6", "8", "10", "12"]
    assert [tick.at for tick in chart.across][-1] == 630
    assert (chart.up[0].at, chart.up[-1].at) == (264, 8)
    assert chart.top_gy == pytest.approx(12.0)


def test_bars_above_one_fail_and_the_last_has_all_above():
    bars = read_record(reported()).bars
    assert [bar.passes for bar in bars] == [True] * 20 + [False] * 20
    assert bars[-1].text == "gamma 1.95 and above: 9 points"
    assert bars[25].height == 0
    assert bars[0].height == pytest.approx(2 * bars[-1].height, rel=0.01)  # logarithmic: 101 against 10


def test_another_format_is_not_read():
    assert read_record(reported().replace(b"mqi-report/1", b"mqi-report/9")) is None
