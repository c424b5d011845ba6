"""The kept part of a dose: what it must contain, and how much it may leave out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqi_communicator.dicom.lattice import place_in
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.dose.crop import LOST, LOWEST, kept_box
from mqi_communicator.results.grids import cut

pytestmark = pytest.mark.pure

GRID = Grid((20, 24, 28), (-30.0, 10.0, 5.0), (1.0, 2.0, 3.0))
GY = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.FRACTION)


def dose(values: dict[tuple[int, int, int], float]) -> Dose:
    gy = np.zeros(GRID.shape, dtype=np.float32)
    for at, value in values.items():
        gy[at] = value
    return Dose(GRID, gy, GY, 1)


def test_all_above_a_thousandth_of_the_maximum_is_kept_with_a_margin():
    found = dose({(10, 12, 14): 2.0, (8, 15, 14): 0.0021})
    assert kept_box(found, ()) == (slice(6, 13), slice(10, 18), slice(12, 17))


def test_less_is_left_out_if_it_is_less_than_a_millionth_of_the_whole():
    found = dose({(10, 12, 14): 2.0, (1, 1, 1): 1e-6})
    box = kept_box(found, ())
    assert box == (slice(8, 13), slice(10, 15), slice(12, 17))
    lost = found.gy.sum(dtype=np.float64) - found.gy[box].sum(dtype=np.float64)
    assert 0 < lost <= LOST * found.gy.sum(dtype=np.float64)


def test_weak_dose_that_adds_up_is_kept():
    found = dose({(10, 12, 14): 2.0, (1, 1, 1): 1e-5})
    assert kept_box(found, ())[0].start == 0


def test_the_planned_grids_are_kept_even_without_dose():
    planned = Grid((3, 3, 3), (-20.0, 20.0, 20.0), (2.5, 2.5, 2.5))
    found = dose({(15, 20, 25): 2.0})
    box = kept_box(found, (planned,))
    kept = cut(found, box).grid
    for own, its in zip(kept.axes(), planned.axes(), strict=True):
        assert own[0] <= its[0]
        assert own[-1] >= its[-1]
    assert box[2].stop == 28  # and what has dose


def test_a_planned_grid_beyond_the_ct_is_kept_as_far_as_the_ct_extends():
    far = replace(GRID, origin=(-500.0, -500.0, -500.0), spacing=(50.0, 50.0, 50.0))
    assert kept_box(dose({(10, 12, 14): 2.0}), (far,)) == (slice(0, 20), slice(0, 24), slice(0, 28))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_what_is_no_dose_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        kept_box(dose({(10, 12, 14): 2.0, (0, 0, 0): value}), ())
    with pytest.raises(ValueError, match="nowhere above zero"):
        kept_box(dose({}), ())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e-1))
def test_of_any_dose_at_most_a_millionth_is_left_out_and_only_voxels_below_a_thousandth(seed, weak):
    chance = np.random.default_rng(seed)
    gy = np.where(chance.random(GRID.shape) < 0.02, weak * chance.random(GRID.shape), 0)
    gy[8:12, 8:12, 8:12] += 1 + chance.random((4, 4, 4))
    found = Dose(GRID, gy.astype(np.float32), GY, 1)
    box = kept_box(found, ())
    left = found.gy.copy()
    left[box] = 0
    assert left.sum(dtype=np.float64) <= LOST * found.gy.sum(dtype=np.float64)
    assert left.max() <= LOWEST * found.gy.max()
    assert place_in(GRID, cut(found, box).grid) == box
