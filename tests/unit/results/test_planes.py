"""Planes, profiles and the point of the largest difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqi_communicator.results.gamma import gamma_index
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.planes import beam_profiles, high_dose_centre, largest_difference, planes

pytestmark = pytest.mark.pure


@pytest.fixture(scope="module")
def two(beams):
    """A beam as planned and as computed: 4 mm deeper."""
    field = beams.FIELDS[0]
    return beams.beam_dose(field, beams.PLANNED_GRID), beams.beam_dose(field, beams.COMPUTED_GRID, deeper=4.0)


def test_the_largest_difference_is_behind_the_target_of_a_beam_that_is_too_deep(two, beams):
    point, off = largest_difference(*two)
    along = np.asarray(point) @ -beams.travel(0.0, 0.0)[:, 2]
    assert off > 0.2
    assert along > np.asarray(high_dose_centre(two[0])) @ -beams.travel(0.0, 0.0)[:, 2] + 8
    assert largest_difference(two[0], replace(two[1], gy=np.full_like(two[1].gy, np.nan))) is None


def test_planes_go_through_the_point_and_show_both_doses(two):
    planned, computed = two
    axial, coronal, sagittal = planes(planned, computed, lambda part: part.gy + 1, (5.0, 9.0, 4.0))
    assert (axial.at, coronal.at, sagittal.at) == (3.0, 9.0, 5.0)  # the nearest voxel centres
    assert axial.planned.shape == (axial.rows.size, axial.columns.size) == planned.gy.shape[1:]
    index = [int(np.argmin(abs(axis - at))) for axis, at in zip(planned.grid.axes(), (3.0, 9.0, 5.0), strict=True)]
    z, y, x = index
    assert axial.planned[y, x] == coronal.planned[z, x] == sagittal.planned[z, y] == planned.gy[z, y, x]
    assert axial.gamma[y, x] == coronal.gamma[z, x] == sagittal.gamma[z, y] == planned.gy[z, y, x] + 1
    assert axial.computed[y, x] == pytest.approx(coronal.computed[z, x]) == pytest.approx(sagittal.computed[z, y])


def test_a_depth_profile_shows_the_longer_range(two, beams):
    planned, computed = two
    (beam,) = (b for b in beams.plan_of().beams if b.number == 1)
    depth, *lateral = beam_profiles(planned, computed, beam, high_dose_centre(planned))

    def distal(values):
        half = np.nanmax(values) / 2
        return depth.mm[np.flatnonzero(np.nan_to_num(values) >= half)[-1]]

    assert distal(depth.computed) - distal(depth.planned) == pytest.approx(4.0, abs=0.6)
    assert [np.nanargmax(line.planned) == pytest.approx(line.mm.size / 2, abs=40) for line in lateral] == [True, True]


def test_local_gamma_is_stricter_where_the_dose_is_low_and_exact_values_say_how_far(beams):
    planned = beams.beam_dose(beams.FIELDS[0], beams.PLANNED_GRID)
    scaled = replace(planned, gy=planned.gy * np.float32(1.04))
    options = GammaOptions(distance_mm=0.3)  # so short that nothing is saved by a neighbour
    overall, local = gamma_index(planned, scaled, options), gamma_index(planned, scaled, options, local=True)
    assert local.percent < overall.percent < 100
    exact = gamma_index(planned, scaled, options, ceiling=2.0)
    assert exact.passed == overall.passed
    assert np.nanmax(exact.gamma) == pytest.approx(4 / 3, abs=0.12)
