"""What gamma promises: units, the points that other programs lose, and what is rejected without a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numba import types

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.results import gamma_kernel
from mqi_communicator.results.gamma import counted_part, gamma_index, thinned
from mqi_communicator.results.options import GammaOptions

pytestmark = pytest.mark.pure

MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
LINE = Grid((1, 1, 5), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0))
FIELD_GRID = Grid((9, 16, 15), (-18.0, -30.0, -10.0), (3.0, 3.0, 3.0))


def test_percent_and_millimetres_are_not_swapped(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    higher = replace(planned, gy=planned.gy * np.float32(1.06))
    assert gamma_index(planned, higher, GammaOptions(dose_percent=7, distance_mm=0.1)).percent == 100
    assert gamma_index(planned, higher, GammaOptions(dose_percent=0.5, distance_mm=7)).percent < 100


def test_points_outside_the_computed_grid_fail_and_are_counted(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    half = replace(planned, gy=planned.gy[:, :8], grid=replace(FIELD_GRID, shape=(9, 8, 15)))
    whole, cut = (gamma_index(planned, dose, GammaOptions()) for dose in (planned, half))
    beyond = int((planned.gy[:, 8:] >= 0.1 * planned.gy.max()).sum())
    assert beyond > 100
    assert (whole.counted, whole.passed, whole.lost) == (whole.counted, whole.counted, 0)
    assert (cut.counted, cut.lost, cut.passed) == (whole.counted, beyond, whole.counted - beyond)


def test_a_planned_dose_that_is_not_a_number_fails_there(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    holed = planned.gy.copy()
    holed[4, 8, 7] = np.nan
    result = gamma_index(replace(planned, gy=holed), planned, GammaOptions())
    assert result.counted - result.passed == result.lost == 1


def test_infinite_dose_fails(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    gy = planned.gy.copy()
    gy[:, 8:] = np.inf
    result = gamma_index(planned, replace(planned, gy=gy), GammaOptions())
    assert result.percent < 60
    assert result.counted == int((planned.gy >= 0.1 * planned.gy.max()).sum())


def small(gy, grid=LINE):
    return Dose(grid, np.broadcast_to(np.asarray(gy, dtype=np.float32), grid.shape).copy(), MEANING, None)


def test_gamma_has_the_value_that_a_sum_on_paper_has():
    line = small([[[0.0, 1.0, 2.0, 1.0, 0.0]]])  # 0.5 Gy/mm: 3 % of 2 Gy are 0.12 mm
    moved = replace(line, grid=replace(line.grid, origin=(1.0, 0.0, 0.0)))
    found = gamma_index(line, moved, GammaOptions(), ceiling=2.0)
    assert found.gamma[0, 0, 1] == pytest.approx(0.5 / np.hypot(0.06, 0.5 * 2.0), abs=0.005)
    assert np.isnan(found.gamma[0, 0, 0])  # below the cut-off
    assert found.gamma[0, 0, 2] == pytest.approx(np.sqrt(0.25), abs=0.005)  # the peak, 1 mm away


def test_a_voxel_just_out_of_the_ball_counts_if_it_is_a_corner_of_a_cell_that_the_ball_touches():
    planned = small([[[0.0, 0.0, 2.0, 0.0, 0.0]]])
    computed = small([[[2.2, 2.2, 2.2, 1.0, 0.0]]])  # 2 Gy are 0.33 mm away; the voxel with 1 Gy is 2 mm away
    near = GammaOptions(distance_mm=0.5)
    assert gamma_index(planned, computed, near).percent == 100
    assert gamma_index(planned, computed, near, ceiling=2.0).gamma[0, 0, 2] == pytest.approx(0.2 / 0.306, abs=0.006)
    assert gamma_index(planned, computed, GammaOptions(distance_mm=0.3)).percent == 0


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_dose_next_to_what_is_no_number_matches_nothing_but_at_the_voxels_that_are_numbers(hole):
    planned = small([[[0.0, 0.0, 2.0, 0.0, 0.0]]])
    assert gamma_index(planned, small([[[0.0, 0.0, 2.5, hole, 0.0]]]), GammaOptions()).percent == 100  # to the left
    assert gamma_index(planned, small([[[hole, hole, 2.5, hole, 0.0]]]), GammaOptions()).percent == 0
    alone = gamma_index(planned, small([[[hole, 2.0, hole, hole, hole]]]), GammaOptions())
    assert (alone.passed, alone.lost) == (0, 1)
    beside = gamma_index(planned, small([[[hole, hole, 2.5, hole, 2.0]]]), GammaOptions(distance_mm=4))  # at the limit
    assert beside.percent == 100


def test_the_limit_itself_passes():
    planned = small([[[2.0, 2.0, 2.0, 2.0, 2.0]]])
    assert gamma_index(planned, small(2.06), GammaOptions()).percent == 100
    assert gamma_index(planned, small(2.0602), GammaOptions()).percent == 0
    peak = small([[[0.0, 0.0, 2.0, 0.0, 0.0]]])
    moved = replace(peak, grid=replace(peak.grid, origin=(2.0, 0.0, 0.0)))
    assert gamma_index(peak, moved, GammaOptions()).percent == 100


def test_doses_that_are_views_read_only_or_of_another_type_are_read_as_they_are(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    reported = gamma_index(planned, planned, GammaOptions()).counted
    turned = replace(planned, gy=np.asfortranarray(planned.gy.astype(">f8")))
    frozen = planned.gy.copy()
    frozen.flags.writeable = False
    for other in (turned, replace(planned, gy=frozen)):
        assert gamma_index(other, other, GammaOptions(), ceiling=2.0).passed == reported


def test_a_cache_that_cannot_be_used_does_not_keep_a_verdict_from_being_made(monkeypatch):
    def broken(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.FunctionCache.save_overload", broken)
    assert gamma_kernel._compiled(types.int64(types.int64))(lambda number: number + 1)(2) == 3
    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.enable_caching", broken)
    assert gamma_kernel._compiled(types.int64(types.int64))(lambda number: number + 2)(2) == 4


def test_a_part_with_all_counted_points_has_the_same_result(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    gy = planned.gy.copy()
    gy[0, 0, 0] = np.nan
    planned, computed = replace(planned, gy=gy), replace(planned, gy=planned.gy * np.float32(1.04))
    part, top = counted_part(planned, GammaOptions())
    whole, found = gamma_index(planned, computed, GammaOptions()), gamma_index(part, computed, GammaOptions(), top=top)
    assert part.gy.size < planned.gy.size
    assert (found.counted, found.passed, found.lost) == (whole.counted, whole.passed, whole.lost)


def test_a_thinned_dose_has_an_even_sample_of_the_counted_points(beams):
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    part, top = counted_part(planned, GammaOptions())
    counted = gamma_index(planned, planned, GammaOptions()).counted
    for most in (100, 1000, 10**6):
        some, every = thinned(part, GammaOptions(), most, top)
        found = gamma_index(some, planned, GammaOptions(), top=top)
        assert every == counted
        assert min(most, counted) / 2 <= found.counted <= most
        assert found.passed == found.counted
        kept = some.gy >= 0
        assert np.array_equal(some.gy[kept], part.gy[kept])
    assert thinned(part, GammaOptions(), 10**6, top)[0] is part
