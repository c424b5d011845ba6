"""Where the protons of a beam pass."""

from __future__ import annotations

import numpy as np
import pytest
from tests.standin.small import beam, layer

from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.rays import beam_path_of, field_of, heights_across, voxels_at

pytestmark = pytest.mark.pure

SPOTS = ((0.0, 0.0), (100.0, 0.0), (0.0, -50.0))


def way(gantry=0.0, couch=0.0, spots=SPOTS, weights=(1.0, 1.0, 1.0), sad=(2000.0, 1000.0)):
    layers = (layer(100.0, weights, spots), layer(180.0, (1.0,), ((0.0, 0.0),)))
    return beam_path_of(beam(gantry_angle=gantry, couch_angle=couch, isocenter=(1.0, 2.0, 3.0), layers=layers), sad)


def test_rays_pass_their_spot_at_the_isocentre_and_come_from_the_magnets():
    one = way()
    at = one.points(np.array([[100.0, -50.0]]), np.array([0.0, 1000.0, 2000.0, -200.0]))[0]
    # gantry 0: the source is anterior (-y), gantry y to the head (z); 2 m to the x magnet, 1 m to the y magnet
    np.testing.assert_allclose(at, [[101, 2, -47], [51, -998, 3], [1, -1998, 53], [111, 202, -57]])


@pytest.mark.parametrize(("gantry", "couch"), [(0.0, 0.0), (90.0, 0.0), (60.0, 330.0), (270.0, 45.0)])
def test_points_are_seen_where_their_rays_cross_the_isocentre_plane(gantry, couch):
    one = way(gantry, couch)
    spots, heights = np.array([[100.0, -50.0], [-3.0, 7.0]]), np.array([-300.0, 0.0, 500.0])
    seen = one.project(one.points(spots, heights))
    np.testing.assert_allclose(seen[..., :2], np.broadcast_to(spots[:, None], (2, 3, 2)), atol=1e-9)
    np.testing.assert_allclose(seen[..., 2], np.broadcast_to(heights, (2, 3)), atol=1e-9)


def test_no_ray_is_seen_from_behind_a_magnet():
    behind = way().project(np.array([[1.0, 2.0 - 950.0, 3.0], [1.0, 2.0 - 3000.0, 3.0]]))
    assert np.isnan(behind[:, :2]).all()


def test_spots_without_weight_have_no_ray_and_the_highest_energy_counts():
    one = way(weights=(1.0, 0.0, 1.0))
    assert one.spots.tolist() == [[0.0, -50.0], [0.0, 0.0]]
    assert one.energy == 180.0


def test_few_spots_keep_the_outermost():
    many = np.random.default_rng(1).uniform(-50, 50, (2000, 2))
    corners = np.array([[90.0, 0.0], [-90.0, 0.0], [0.0, 90.0], [0.0, -90.0], [70.0, 70.0]])
    one = way(spots=np.concatenate([many, corners]), weights=np.ones(2005))
    sample = one.sample(100)
    assert len(sample) <= 100
    assert all((sample == corner).all(axis=1).any() for corner in corners)
    assert {tuple(spot) for spot in sample} <= {tuple(spot) for spot in one.spots}


def test_the_field_leaves_nothing_out_and_little_more_in():
    one = way(spots=np.array([[0.3, 0.7], [60.1, -20.9], [0.3, 55.5]]))
    field = field_of(one, margin=25.0)
    at = np.random.default_rng(2).uniform(-60, 120, (20_000, 2))
    distance = np.linalg.norm(at[:, None] - one.spots[None], axis=2).min(axis=1)
    _, _, inside = field.index(at[:, 0], at[:, 1])
    assert inside[distance <= 25.0].all()
    assert not inside[distance > 32.0].any()
    _, _, nowhere = field.index(np.array([np.nan, 1e9]), np.array([0.0, 0.0]))
    assert not nowhere.any()
    _, _, own = field.index(*field.positions.T)
    assert own.all()


def test_heights_span_the_grid_from_the_side_of_the_source():
    grid = Grid((10, 20, 30), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    heights = heights_across(way(gantry=0.0), grid, 2.0)
    assert heights[0] >= 0.0
    assert heights[-1] <= -38.0
    assert (np.diff(heights) == -2.0).all()


def test_voxels_of_points():
    grid = Grid((2, 3, 4), (10.0, 20.0, 30.0), (1.0, 2.0, 3.0))
    points = np.array([[10.4, 20.9, 31.4], [13.0, 24.0, 33.0], [9.0, 20.0, 30.0], [10.0, 20.0, 36.0]])
    (z, y, x), inside = voxels_at(points, grid)
    assert inside.tolist() == [True, True, False, False]
    assert list(zip(z, y, x, strict=True)) == [(0, 0, 0), (1, 2, 3), (0, 0, 0), (1, 0, 0)]
