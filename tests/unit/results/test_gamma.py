"""Gamma against a brute force of a few lines, and the points that other programs lose."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from mqi_communicator.dicom.records import Grid
from mqi_communicator.results.gamma import gamma_index
from mqi_communicator.results.options import GammaOptions

pytestmark = pytest.mark.pure

FIELD_GRID = Grid((9, 16, 15), (-18.0, -30.0, -10.0), (3.0, 3.0, 3.0))
OTHER_GRID = Grid((16, 26, 24), (-21.0, -32.0, -14.0), (2.2, 2.2, 2.0))


def brute_force(planned, computed, percent, mm, cutoff):
    """Gamma <= 1 at each point by trying a fine lattice of shifts (Low 1998), one shift at a time."""
    dose = RegularGridInterpolator(computed.grid.axes(), computed.gy, bounds_error=False, fill_value=1e9)
    top = planned.gy.max()
    at = np.argwhere(planned.gy >= cutoff / 100 * top)
    points = np.stack([axis[i] for axis, i in zip(planned.grid.axes(), at.T, strict=True)], axis=1)
    wanted = planned.gy[tuple(at.T)]
    best = np.full(len(points), np.inf)
    steps = np.arange(-mm, mm + 1e-9, mm / 15)
    for shift in np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3):
        if shift @ shift > mm * mm + 1e-9:
            continue
        off = (dose(points + shift) - wanted) / (percent / 100 * top)
        best = np.minimum(best, np.sqrt(off**2 + (shift @ shift) / mm**2))
    return tuple(at.T), best


def test_a_brute_force_says_the_same_of_almost_every_point(beams):
    field = beams.FIELDS[0]
    planned = beams.beam_dose(field, FIELD_GRID)
    computed = beams.beam_dose(field, OTHER_GRID, noise=0.01, shift=(2.2, 1.0, -1.4), scale=1.05)
    where, best = brute_force(planned, computed, 2.0, 3.0, 20.0)
    result = gamma_index(planned, computed, GammaOptions(dose_percent=2, distance_mm=3, cutoff_percent=20))
    assert result.counted == len(best)
    assert 0.3 < (best <= 1).mean() < 0.99  # or the agreement would say nothing
    sure = np.abs(best - 1) > 0.05  # both lattices are finite
    assert sure.mean() > 0.9
    agreed = (result.gamma[where] <= 1) == (best <= 1)
    assert agreed[sure].mean() > 0.998, np.sort(best[sure & ~agreed])
    assert result.passed / result.counted == pytest.approx((best <= 1).mean(), abs=0.02)


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


def test_nothing_is_said_and_no_log_handler_is_left(beams, capsys):
    before, disabled = list(logging.root.handlers), logging.root.manager.disable
    planned = beams.beam_dose(beams.FIELDS[0], FIELD_GRID)
    logging.root.handlers.clear()  # as in a fresh process
    try:
        gamma_index(planned, planned, GammaOptions())
        assert logging.root.handlers == []
    finally:
        logging.root.handlers[:] = before
    assert logging.root.manager.disable == disabled
    assert capsys.readouterr() == ("", "")
