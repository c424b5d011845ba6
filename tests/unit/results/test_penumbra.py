"""The lateral penumbra: what a spot of another size changes, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

from mqi_communicator.dicom.records import Beam, Biology, Dose, DoseType, Extent, Grid, Layer, Medium
from mqi_communicator.results.options import PenumbraOptions
from mqi_communicator.results.penumbra import penumbra_check, penumbra_difference
from mqi_communicator.results.verdict import CheckOutcome

pytestmark = pytest.mark.pure

GRID = Grid((36, 50, 50), (-61.0, -57.0, -43.0), (2.5, 2.5, 2.5))
FINE = Grid((45, 62, 63), (-62.0, -58.0, -44.0), (2.0, 2.0, 2.0))
TYPE = DoseType(Medium.WATER, Biology.PHYSICAL, Extent.FRACTION)
PER_SIGMA = 2 * 0.8416  # 80 % to 20 % of an error function, in sigma


def shot(gantry=0.0, couch=0.0):
    layer = Layer(120.0, np.zeros((1, 2)), np.ones(1))
    return Beam(1, "A", "M", gantry, couch, (0.0, 0.0, 0.0), 100.0, 100.0, (layer,))


def field(sigma, grid=GRID, *, half=(25.0, 20.0), gantry=0.0, shift=0.0, noise=0.0, dip=0.0, depth=35.0):
    """A square field with Gaussian edges that ends at `depth`; `dip`: what is missing in its middle."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    turn = np.radians(gantry)
    u, along = x * np.cos(turn) + y * np.sin(turn) - shift, -x * np.sin(turn) + y * np.cos(turn)
    across = 1.0
    for position, reach in ((u, half[0]), (z, half[1])):
        across = (
            across * 0.5 * (erf((position + reach) / (sigma * 2**0.5)) - erf((position - reach) / (sigma * 2**0.5)))
        )
    inner = 1 - dip * np.exp(-(u**2 + z**2) / 200)
    gy = across * inner * 0.5 * (1 - erf((along - depth) / 4))
    rough = np.random.default_rng(1).normal(size=gy.shape)
    gy = np.maximum(gy + noise * np.sqrt(gy) * rough, 0)
    return Dose(grid, gy.astype(np.float32), TYPE, 1, noise)


@pytest.mark.parametrize(("gantry", "half"), [(0.0, (25.0, 20.0)), (33.0, (25.0, 20.0)), (0.0, (15.0, 14.0))])
def test_a_wider_spot_is_measured(gantry, half):
    planned, computed = field(5.0, gantry=gantry, half=half), field(6.0, FINE, gantry=gantry, half=half, noise=0.015)
    found = penumbra_difference(planned, computed, shot(gantry))
    assert found.planned_mm == pytest.approx(5 * PER_SIGMA, rel=0.05)
    assert found.difference_mm == pytest.approx(PER_SIGMA, abs=0.3)
    assert found.edges >= found.known > 0.85 * found.edges > 50


@pytest.mark.parametrize(
    "changed", [{}, {"noise": 0.02}, {"shift": 3.0}, {"depth": 30.0}, {"dip": 0.05}, {"noise": 0.015, "shift": -4.0}]
)
def test_noise_position_and_range_do_not_change_it(changed):
    found = penumbra_difference(field(5.0), field(5.0, FINE, **changed), shot())
    assert abs(found.difference_mm) < 0.3


def test_a_modulated_field_is_compared_edge_by_edge():
    found = penumbra_difference(field(5.0, dip=0.4), field(6.0, FINE, dip=0.4, noise=0.015), shot())
    assert found.difference_mm == pytest.approx(PER_SIGMA, abs=0.5)


@pytest.mark.parametrize(
    ("sigma", "outcome"),
    [(5.0, CheckOutcome.PASS), (4.2, CheckOutcome.REVIEW), (5.8, CheckOutcome.REVIEW), (6.6, CheckOutcome.FAIL)],
)
def test_the_limits(sigma, outcome):
    check = penumbra_check(field(5.0), field(sigma, FINE), PenumbraOptions(), shot())
    assert check.outcome is outcome, check
    assert ("check range shifter" in check.note) == (outcome is not CheckOutcome.PASS)
    assert ("wider" in check.note) == (sigma > 5)


def test_a_grid_that_cuts_the_field_off_calls_for_a_review():
    planned = field(5.0)
    inner = replace(GRID, shape=(18, 50, 17), origin=(-21.0, -57.0, -43.0))
    cut = replace(planned, grid=inner, gy=planned.gy[:18, :, 16:33].copy())
    check = penumbra_check(cut, field(5.0, FINE), PenumbraOptions(), shot())
    assert check.outcome is CheckOutcome.REVIEW
    assert "export a dose grid" in check.note


def test_without_dose_nothing_is_known():
    empty = replace(field(5.0), gy=np.zeros(GRID.shape, np.float32))
    assert penumbra_check(empty, field(5.0), PenumbraOptions(), shot()).outcome is CheckOutcome.REVIEW
    assert penumbra_check(field(5.0), empty, PenumbraOptions(), shot()).outcome is CheckOutcome.REVIEW
