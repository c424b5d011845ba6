"""Lines become spots: the weight, the place and the extent of each line stay, and pieces are short."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqi_communicator.dicom.records import Layer, LayerKind
from mqi_communicator.dose.line_pieces import line_lengths, pieces_of

pytestmark = pytest.mark.pure

coordinate = st.floats(-200.0, 200.0, width=32)
points = st.tuples(coordinate, coordinate, st.one_of(st.just(0.0), st.floats(1e-4, 100.0)))
longest = st.floats(0.3, 5.0)


def layer(*rows: tuple[float, float, float]) -> Layer:
    array = np.array(rows, dtype=float)
    return Layer(150.0, array[:, :2], array[:, 2], LayerKind.LINES)


def moments(places: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (2,) and covariance (2, 2) of weighted points."""
    centre = weights @ places / weights.sum()
    away = places - centre
    return centre, (away.T * weights) @ away / weights.sum()


@given(st.lists(points, min_size=2, max_size=12), longest)
def test_every_line_keeps_its_weight_centre_and_extent(rows, mm):
    """Each line alone, against the even distribution on it: centre, and covariance L^2 / 12 along the line."""
    rows = [(*rows[0][:2], 0.0), *rows[1:]]
    made, total = pieces_of(layer(*rows), mm)
    assert total.sum() == pytest.approx(sum(row[2] for row in rows), rel=1e-9)
    done = 0
    for before, after in pairwise(rows):
        if after[2] == 0:
            continue  # the beam is off on this way
        start, end = np.array(before[:2]), np.array(after[:2])
        length = math.dist(start, end)
        count = math.floor(length / mm) + 1
        mine, weights = made[done : done + count], total[done : done + count]
        done += count
        piece = length / count
        assert piece < mm
        assert weights.sum() == pytest.approx(after[2], rel=1e-9)
        centre, spread = moments(mine, weights)
        assert centre == pytest.approx((start + end) / 2, abs=1e-6)
        even = np.outer(end - start, end - start) / 12
        assert np.abs(spread - even).max() <= piece**2 / 12 + 1e-6
        steps = np.linalg.norm(np.diff(mine, axis=0), axis=1)
        assert steps == pytest.approx(np.full(count - 1, piece), abs=1e-6)
    assert done == len(made) == len(total)


def test_the_way_to_a_weight_of_zero_gets_nothing():
    spots, weights = pieces_of(layer((0, 0, 0), (3, 0, 6), (50, 50, 0), (50, 52, 4)), 1.5)
    assert spots.tolist() == [[0.5, 0], [1.5, 0], [2.5, 0], [50, 50.5], [50, 51.5]]
    assert weights.tolist() == [2, 2, 2, 2, 2]


def test_a_piece_of_exactly_the_length_is_cut_once_more():
    assert len(pieces_of(layer((0, 0, 0), (3, 0, 1)), 1.0)[0]) == 4


def test_a_line_without_a_length_is_one_spot():
    spots, weights = pieces_of(layer((7, 8, 0), (7, 8, 3)), 1.0)
    assert (spots.tolist(), weights.tolist()) == ([[7, 8]], [3])


def test_an_even_row_of_lines_is_an_even_row_of_spots():
    """Also where a line ends and the next begins."""
    spots, weights = pieces_of(layer((0, 0, 0), (6, 0, 3), (12, 0, 3), (18, 0, 3)), 2.5)
    assert spots[:, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert set(weights.tolist()) == {1.0}


def test_lengths_begin_with_none():
    assert line_lengths(layer((5, 5, 0), (8, 9, 1), (8, 9, 1))).tolist() == [0, 5, 0]


def test_a_layer_without_beam_has_no_pieces():
    spots, weights = pieces_of(layer((0, 0, 0), (5, 0, 0)), 1.0)
    assert spots.shape == (0, 2)
    assert weights.shape == (0,)
