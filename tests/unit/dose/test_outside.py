"""Dose that was scored in the air around the patient is none, and decides nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqi_communicator.dicom.records import Biology, CTVolume, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.dose.moqui.output import mean_and_uncertainty
from mqi_communicator.dose.outside import outside_air, without_outside_air
from mqi_communicator.results.uncertainty import combined_uncertainty

GRID = Grid((6, 20, 24), (0.0, 0.0, 0.0), (5.0, 5.0, 5.0))
MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.FRACTION)


@pytest.fixture
def ct():
    """A body with a cavity in wide air, and a couch below it."""
    hu = np.full(GRID.shape, -1000.0, np.float32)
    hu[:, 5:14, 6:18] = 0
    hu[:, 8:10, 10:13] = -1000
    hu[:, 17, 4:20] = -700
    return CTVolume(GRID, hu, "1.2", "1.3", ("1.4",) * 6, "a|b|c")


@pytest.fixture
def dose():
    gy = np.zeros(GRID.shape, np.float32)
    gy[:, :14, 10:14] = 2.0
    return Dose(GRID, gy, MEANING, 1, 0.01)


def test_body_cavities_and_couch_are_not_outside(ct):
    outside = outside_air(ct)
    assert outside[:, 0].all()
    assert outside[:, 5:14, :6].all()
    assert not outside[:, 5:14, 6:18].any()
    assert not outside[:, 17, 4:20].any()
    assert outside[:, 14:17, :4].all()
    assert not outside[ct.hu > -900].any()


def test_a_hot_voxel_in_the_air_around_the_patient_is_taken_away_and_the_rest_is_untouched(ct, dose):
    hot = dose.gy.copy()
    hot[3, 1, 2] = 764.0
    kept = without_outside_air(replace(dose, gy=hot), ct)
    assert kept.gy[3, 1, 2] == 0
    assert kept.gy.max() == 2.0
    np.testing.assert_array_equal(kept.gy[:, 5:14, 6:18], dose.gy[:, 5:14, 6:18])
    assert (kept.uncertainty, kept.dose_type, kept.grid) == (0.01, MEANING, GRID)


def test_a_hot_voxel_of_a_cavity_does_not_set_the_noise_of_a_plan(dose):
    planned = replace(dose, beam_number=None)
    alone = combined_uncertainty([dose], planned)
    hot = dose.gy.copy()
    hot[0, 19, 23] = 764.0
    assert combined_uncertainty([replace(dose, gy=hot)], planned) == pytest.approx(alone)
    assert alone == pytest.approx(0.01)


def test_a_hot_voxel_of_air_does_not_set_the_noise_of_two_runs(ct, dose):
    random = np.random.default_rng(1)
    runs = [dose.gy * (1 + 0.02 * random.standard_normal(GRID.shape)) for _ in range(2)]
    solid = ct.hu > -900
    _, without = mean_and_uncertainty(runs, solid)
    runs[0][3, 1, 2] = 764.0
    _, uncertainty = mean_and_uncertainty(runs, solid)
    assert uncertainty == without
    assert uncertainty == pytest.approx(0.02 / 2**0.5, rel=0.2)
