"""The volumes of the viewer: numbers of the RTDOSE, quantisation, crop, coarsening, sides of the patient."""

from __future__ import annotations

import numpy as np
import pytest
from tests.viewed import COURSE, HU, LEFT, Drawn, drawn, left_of_target, rtdose

from mqi_communicator.dicom.records import CTVolume, Dose, Grid
from mqi_communicator.report import gammas
from mqi_communicator.report.volumes import (
    LEVELS,
    MISSING,
    NO_GAMMA,
    PASSES,
    GammaMap,
    Volumes,
    shown_box,
    view_volumes,
)
from mqi_communicator.results.options import GammaOptions

GRID = Grid((10, 12, 14), (-30.0, -20.0, -10.0), (3.0, 2.5, 2.0))
CT = Grid((16, 60, 80), (-60.0, -50.0, -20.0), (2.0, 2.0, 4.0))


def dose(grid: Grid, centre: tuple[float, float, float], top: float = 50.0) -> Dose:
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    away = ((x - centre[0]) / 6) ** 2 + ((y - centre[1]) / 5) ** 2 + ((z - centre[2]) / 4) ** 2
    return Dose(grid, (top * np.exp(-away)).astype(np.float32), COURSE, None)


def ct(grid: Grid = CT) -> CTVolume:
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    return CTVolume(grid, (x + 10 * y - z).astype(np.float32), "1.2", "1.2", (), "scanner")


def shown(planned: Dose | None, computed: Dose, gamma: GammaMap | None = None, of: CTVolume | None = None) -> Volumes:
    both = [one for one in (planned, computed) if one is not None]
    return view_volumes(planned, computed, gamma, of or ct(), shown_box(both))


def at(volumes: Volumes, values: np.ndarray, point: np.ndarray) -> int:
    """The number stored for the grid point nearest to a point (x, y, z)."""
    x, y, z = np.rint((point - volumes.grid.origin) / volumes.grid.spacing).astype(int)
    return int(values[z, y, x])


def test_steps_are_fine_and_the_largest_dose_is_the_last_step():
    made = shown(dose(GRID, (-10, -8, 0)), dose(CT, (-10, -8, 0), top=60.0))
    assert made.step_gy * LEVELS == pytest.approx(float(dose(CT, (-10, -8, 0), top=60.0).gy.max()))
    assert made.step_gy < 0.001 * 50
    assert int(made.computed[made.computed != MISSING].max()) <= LEVELS


def test_a_mirrored_dose_is_in_the_volumes_beyond_the_planned_grid():
    planned, computed = dose(GRID, (-10, -8, 0)), dose(CT, (40, 20, 12))
    made = shown(planned, computed)
    assert made.planned is not None
    peak = np.array((40.0, 20.0, 12.0))
    assert at(made, made.computed, peak) * made.step_gy > 45
    assert at(made, made.planned, peak) == MISSING  # nothing is known there of the planned dose
    assert at(made, made.planned, np.array((-10.0, -8.0, 0.0))) * made.step_gy > 45
    ends = np.array([(axis[0], axis[-1]) for axis in reversed(made.ct.grid.axes())])
    assert np.all(ends[:, 0] <= (-10, -8, 0))
    assert np.all(ends[:, 1] >= peak)


def test_the_box_reaches_30_mm_beyond_a_tenth_of_each_dose_and_not_beyond_ct_and_grid():
    planned = dose(GRID, (-10, -8, 0))
    (low_x, high_x), (low_y, _), (low_z, _) = shown_box([planned])
    x = GRID.axes()[2][planned.gy.max(axis=(0, 1)) >= 0.1 * planned.gy.max()]
    assert (low_x, high_x) == (x[0] - 30, x[-1] + 30)
    made = shown(planned, dose(CT, (-10, -8, 0)))
    z, y, x = made.ct.grid.axes()
    assert (x[0], y[0], z[0]) == (max(-60, np.ceil(low_x / 2) * 2), max(-50, np.ceil(low_y / 2) * 2), -20)
    assert z[-1] <= CT.axes()[0][-1]
    assert low_z < -20


def test_gamma_is_kept_in_hundredths_and_absent_where_it_was_not_evaluated():
    planned = dose(GRID, (-10, -8, 0))
    gamma = np.where(planned.gy > 5, 0.456, np.nan).astype(np.float32)
    gamma[5, 5, 7] = 2.0
    made = shown(planned, dose(CT, (-10, -8, 0)), GammaMap(planned.grid, gamma, exact=True))
    assert made.gamma is not None
    assert set(np.unique(made.gamma)) == {46, 200, NO_GAMMA}
    assert int((made.gamma != NO_GAMMA).sum()) == int(np.isfinite(gamma).sum())


def test_a_fine_ct_is_averaged_up_to_one_millimetre_and_not_above():
    fine = ct(Grid((31, 200, 240), (-60.0, -50.0, -20.0), (0.4, 0.5, 0.75)))
    made = shown(dose(GRID, (-10, -8, 0)), dose(CT, (-10, -8, 0)), of=fine).ct
    assert made.grid.spacing == pytest.approx((0.8, 1.0, 0.75))
    assert made.recorded == fine.grid
    z, y, x = np.meshgrid(*made.grid.axes(), indexing="ij")
    assert np.abs(made.hu - (x + 10 * y - z)).max() <= 0.5001  # a plane's mean is its value in the middle
    unchanged = shown(dose(GRID, (-10, -8, 0)), dose(CT, (-10, -8, 0))).ct
    assert unchanged.grid.spacing == CT.spacing


def test_without_a_planned_dose_the_computed_grid_is_shown():
    made = shown(None, dose(CT, (0, 0, 10)))
    assert made.planned is None
    assert made.grid.spacing == CT.spacing
    assert at(made, made.computed, np.array((0.0, 0.0, 8.0))) * made.step_gy > 35


def test_a_computed_dose_that_is_not_a_number_is_missing():
    computed = dose(CT, (-10, -8, 0))
    computed.gy[5, 20, 25] = np.nan
    made = shown(None, computed)
    z, y, x = (float(axis[i]) for axis, i in zip(CT.axes(), (5, 20, 25), strict=True))
    assert at(made, made.computed, np.array((x, y, z))) == MISSING


POSITIONS = ("HFS", "HFP", "FFS")


@pytest.fixture(scope="module", params=POSITIONS)
def sample(request, tmp_path_factory) -> tuple[str, Drawn]:
    return request.param, drawn(tmp_path_factory.mktemp("drawn") / request.param, request.param)


def test_twenty_points_have_the_doses_of_the_rtdose_files(sample):
    _position, made = sample
    volumes = made.volumes
    planned, computed = rtdose(made.planned), rtdose(made.computed)
    assert volumes.planned is not None
    known = np.argwhere((volumes.planned != MISSING) & (volumes.planned * volumes.step_gy > 2.5))
    chosen = known[np.linspace(0, len(known) - 1, 20).astype(int)]
    points = np.asarray(volumes.grid.origin) + chosen[:, ::-1] * np.asarray(volumes.grid.spacing)
    for numbers, truth in ((volumes.planned, planned(points)), (volumes.computed, computed(points))):
        mine = numbers[tuple(chosen.T)] * volumes.step_gy
        assert np.abs(mine - truth).max() <= 0.51 * volumes.step_gy
        assert truth.max() > 4


def test_what_is_on_the_left_has_the_larger_x_in_every_position(sample):
    position, made = sample
    x, y, z = left_of_target(position)
    fields, grid = made.file.fields, made.volumes.ct.grid
    assert fields["position"] == position
    assert tuple(fields["axes"]) == ("L", "P", "H")
    dense = np.argwhere(made.volumes.ct.hu == HU)
    centre = np.asarray(grid.origin) + dense[:, ::-1].mean(axis=0) * np.asarray(grid.spacing)
    assert np.abs(centre - (x, y, z)).max() < max(grid.spacing)
    (left,) = (one for one in fields["structures"] if one["name"] == LEFT)
    corners = made.file.arrays[-1] * left["step"]
    assert corners.mean(axis=0) == pytest.approx((x, y), abs=0.1)
    assert {level for level, _ in left["outlines"]} <= {level for level in grid.axes()[0] if abs(level - z) <= 12}


def test_of_very_many_points_only_whether_gamma_is_at_most_one_is_kept(monkeypatch):
    planned, computed = dose(GRID, (-10, -8, 0)), dose(CT, (-6, -8, 0))
    exact = gammas.gamma_map(planned, computed, GammaOptions())
    monkeypatch.setattr(gammas, "MOST_MAPPED", 10)
    rough = gammas.gamma_map(planned, computed, GammaOptions())
    assert (exact.exact, rough.exact) == (True, False)
    known = np.isfinite(exact.values)
    assert np.array_equal(np.isfinite(rough.values), known)
    assert np.array_equal(exact.values[known] <= 1, rough.values[known] == PASSES)
    assert 0 < (rough.values[known] == PASSES).sum() < known.sum()
