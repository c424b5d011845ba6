"""The voxels of a structure."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.contoured import Contoured

pytestmark = pytest.mark.pure

GRID = Grid((9, 20, 30), (-15.0, -10.0, 100.0), (1.0, 1.0, 2.0))


def box(x0, x1, y0, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def expected(*areas):
    _, y, x = GRID.axes()
    inside = np.zeros(GRID.shape[1:], dtype=bool)
    for corners in areas:
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        inside ^= ((x > x0) & (x < x1))[None, :] & ((y > y0) & (y < y1))[:, None]
    return inside


def test_a_voxel_is_inside_where_its_centre_is():
    outer, hole = box(-10.5, 8.5, -7.5, 6.5), box(-4.5, 2.5, -3.5, 1.5)
    shape = Contoured([(104.0, outer), (104.0, hole[::-1])], GRID)
    np.testing.assert_array_equal(shape.inside(2), expected(outer, hole))


def test_any_outline_is_filled_as_a_polygon_is():
    from matplotlib.path import Path

    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    star = np.column_stack([np.cos(turns), np.sin(turns)]) * np.where(np.arange(12) % 2, 4.3, 9.1)[:, None]
    _, y, x = GRID.axes()
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside = Path(np.vstack([star, star[:1]])).contains_points(centres).reshape(20, 30)
    np.testing.assert_array_equal(Contoured([(100.0, star)], GRID).inside(0), inside)


def test_an_outline_beyond_the_grid_is_cut_off():
    assert Contoured([(100.0, box(-999, 999, -999, 999))], GRID).inside(0).all()
    assert not Contoured([(100.0, box(50, 60, -5, 5))], GRID).inside(0).any()
    assert Contoured([(60.0, box(-5, 5, -5, 5))], GRID).slices == {}


def test_slices_and_planes_that_jitter():
    shape = Contoured([(104.02, box(-5, 5, -5, 5)), (105.97, box(-5, 5, -5, 5))], GRID)
    assert sorted(shape.slices) == [2, 3]


def test_two_planes_of_one_slice_and_an_outline_twice_do_not_cancel():
    area = box(-5.5, 5.5, -5.5, 5.5)
    for second in (104.3, 104.0):
        np.testing.assert_array_equal(Contoured([(104.0, area), (second, area)], GRID).inside(2), expected(area))


def test_a_slice_between_two_planes_has_the_voxels_of_both():
    low, high = box(-8.5, -2.5, -5.5, 5.5), box(2.5, 8.5, -5.5, 5.5)
    shape = Contoured([(102.0, low), (106.0, high), (110.0, high)], GRID)
    assert sorted(shape.slices) == [0, 1, 2, 3, 4, 5, 6]  # and half a distance beyond the ends
    np.testing.assert_array_equal(shape.inside(2), expected(low, high))
    np.testing.assert_array_equal(shape.inside(6), expected(high))


def test_nothing_is_between_parts_that_are_far_apart():
    area = box(-5.5, 5.5, -5.5, 5.5)
    shape = Contoured([(100.0, area), (102.0, area), (112.0, area), (114.0, area)], GRID)
    assert sorted(shape.slices) == [0, 1, 6, 7]


def test_no_contour_is_no_voxel():
    assert Contoured([], GRID).slices == {}


def test_an_outline_that_crosses_rows_ten_million_times_takes_little_memory():
    """All its crossings at once would take gigabytes."""
    fine = Grid((1, 200, 20), (0.0, 0.0, 100.0), (1.0, 1.0, 2.0))
    corners = np.random.default_rng(1).uniform((0, 0), (20, 200), (150_001, 2))
    shape = Contoured([(100.0, corners)], fine)
    tracemalloc.start()
    inside = shape.inside(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 << 20
    assert 0.2 < inside.mean() < 0.8


def test_the_crossings_are_the_same_in_parts(monkeypatch):
    corners = np.random.default_rng(2).uniform(-20, 20, (500, 2))
    whole = Contoured([(100.0, corners)], GRID).inside(0)
    monkeypatch.setattr("mqi_communicator.dose.contoured._CROSSINGS", 7)
    assert 0.2 < whole.mean() < 0.8
    np.testing.assert_array_equal(Contoured([(100.0, corners)], GRID).inside(0), whole)


def test_thousands_of_outlines_in_one_plane_are_not_compared_in_pairs():
    began = time.monotonic()
    Contoured([(100.0, box(at, at + 1, 0, 1)) for at in np.linspace(0, 5, 20_000)], GRID)
    assert time.monotonic() - began < 10
