"""The ground truth: directions by hand, a phantom without symmetry, beams that hit the target."""

from __future__ import annotations

import numpy as np
import pytest

from mqi_communicator.demo import phantom
from mqi_communicator.demo.truth import (
    ISOCENTRE,
    LINES,
    SHIFTED,
    SIZES,
    STANDARD,
    TINY,
    energy_of_range,
    gantry_axes,
    range_of_energy,
)
from mqi_communicator.dicom.records import LayerKind

pytestmark = pytest.mark.pure

LEFT, BACK, HEAD = np.eye(3)


@pytest.mark.parametrize(
    ("gantry", "couch", "x_axis", "y_axis", "source"),
    [
        (0, 0, LEFT, HEAD, -BACK),
        (90, 0, BACK, HEAD, LEFT),
        (180, 0, -LEFT, HEAD, BACK),
        (270, 0, -BACK, HEAD, -LEFT),
        (0, 90, -HEAD, LEFT, -BACK),
        (90, 90, BACK, LEFT, -HEAD),
        (270, 90, -BACK, LEFT, HEAD),
    ],
)
def test_gantry_axes_are_those_of_iec_61217(gantry, couch, x_axis, y_axis, source):
    for found, expected in zip(gantry_axes(gantry, couch), (x_axis, y_axis, source), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("gantry", [0, 37, 100, 270])
@pytest.mark.parametrize("couch", [0, 15, 340])
def test_gantry_axes_are_right_handed(gantry, couch):
    x, y, z = gantry_axes(gantry, couch)
    np.testing.assert_allclose(np.cross(x, y), z, atol=1e-12)


@pytest.mark.parametrize("size", [STANDARD, TINY], ids=lambda s: s.name)
def test_the_phantom_differs_from_each_of_its_mirror_images(size):
    hu = phantom.hounsfield(size.ct)
    body = int((hu > phantom.AIR_HU).sum())
    assert all((hu != np.flip(hu, axis)).sum() > 0.01 * body for axis in range(3))
    assert {-1000, -750, -700, -100, 0, 35, 700} >= set(np.unique(hu)) > {-1000, 0, 35, 700}


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda s: s.name)
def test_no_grid_is_cubic_or_centred(size):
    for grid in (size.ct, size.dose_grid):
        assert len(set(grid.shape)) == 3 or size.name == "large"
        assert grid.spacing[0] != grid.spacing[2]
        middle = [a.mean() for a in grid.axes()]
        assert all(abs(m - c) > 0.9 for m, c in zip(middle[:2], reversed(ISOCENTRE[1:]), strict=True))


@pytest.mark.parametrize(("size", "wide", "air"), [(STANDARD, 480.0, 120.0), (TINY, 280.0, 45.0)])
def test_air_surrounds_the_body(size, wide, air):
    (_, rows, columns), (dx, dy, _) = size.ct.shape, size.ct.spacing
    assert dx == dy
    assert rows <= columns
    assert min(rows * dy, columns * dx) >= wide
    body = phantom.in_body(size.ct)
    around = [np.flatnonzero(body.any(axis=tuple(k for k in range(3) if k != axis))) for axis in (1, 2)]
    assert min(seen[0] for seen in around) * dx >= air
    assert min(n - 1 - seen[-1] for seen, n in zip(around, (rows, columns), strict=True)) * dx >= air


def test_every_spot_line_passes_through_the_target_or_its_margin():
    for beam in STANDARD.beams():
        x, y, _ = gantry_axes(beam.gantry_angle, beam.couch_angle)
        away = np.array(phantom.TARGET_CENTRE) - np.array(ISOCENTRE)
        centre = np.array([away @ x, away @ y])
        for layer in beam.layers:
            distance = np.hypot(*(layer.spots - centre).T)
            assert distance.max() < phantom.TARGET_RADIUS + 8.0


def test_the_beams_are_off_axis_and_look_different_when_mirrored_or_transposed():
    for beam in STANDARD.beams():
        spots = np.concatenate([layer.spots for layer in beam.layers])
        weights = np.concatenate([layer.weights for layer in beam.layers])
        mean = weights @ spots / weights.sum()
        assert np.hypot(*mean) > 1.5
        assert abs(abs(mean[0]) - abs(mean[1])) > 0.3


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda s: s.name)
def test_meterset_and_final_weight_differ_and_the_weights_add_up(size):
    ratios = set()
    for beam in size.beams():
        total = sum(float(layer.weights.sum()) for layer in beam.layers)
        assert total == pytest.approx(beam.final_cumulative_weight, abs=1e-4)
        ratios.add(round(beam.mu_per_weight, 3))
        assert [layer.energy for layer in beam.layers] == sorted({layer.energy for layer in beam.layers}, reverse=True)
        assert min(layer.energy for layer in beam.layers) > 100.0
    assert len(ratios) == len(size.fields)
    assert 1.0 not in ratios


def test_range_and_energy_are_inverse():
    assert energy_of_range(range_of_energy(117.3)) == pytest.approx(117.3)
    assert range_of_energy(100.0) == pytest.approx(76.1, abs=0.2)
    assert range_of_energy(200.0) == pytest.approx(256.8, abs=3.5)  # a power law, true near 120 MeV


def test_an_outline_is_as_large_as_the_solid_it_goes_round():
    z = phantom.TARGET_CENTRE[2]
    ring = np.array(phantom.outline(phantom.TARGET, z))
    assert np.hypot(*(ring - np.array(phantom.TARGET_CENTRE[:2])).T) == pytest.approx(phantom.TARGET_RADIUS, abs=0.02)
    assert phantom.outline(phantom.TARGET, z + phantom.TARGET_RADIUS) == []
    assert len(phantom.outline(phantom.BONE, 20.0)) == 4


def test_lines_have_the_weights_and_places_of_the_spots_they_are_made_of():
    for spots, lines in zip(TINY.beams(), LINES.beams(), strict=True):
        for layer, scanned in zip(spots.layers, lines.layers, strict=True):
            assert scanned.kind is LayerKind.LINES
            assert scanned.weights[0] == 0.0
            on = np.flatnonzero(scanned.weights)
            centres = (scanned.spots[on] + scanned.spots[on - 1]) / 2
            found = sorted(zip(*centres.T.round(1), scanned.weights[on], strict=True))
            meant = sorted(zip(*layer.spots.T, layer.weights, strict=True))
            np.testing.assert_allclose(found, meant, atol=0.051)


def test_a_field_behind_a_range_shifter_has_energies_that_reach_as_deep():
    plain, shifted = TINY.beams()[0], SHIFTED.beams()[0]
    (wet,) = {one.wet for layer in shifted.layers for one in layer.shifters}
    deepest, behind = (range_of_energy(beam.layers[0].energy) for beam in (plain, shifted))
    assert behind - wet == pytest.approx(deepest, abs=5.0)  # the energies are 4 MeV apart
    assert not any(layer.shifters for layer in plain.layers)
