"""DVHs of shapes whose volume and dose are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.results.coverage import crossings
from mqi_communicator.results.dvh import dvh

pytestmark = pytest.mark.pure

GRID = Grid((21, 41, 41), (-40.0, -40.0, -30.0), (2.0, 2.0, 3.0))
MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)


def circle(radius, centre=(0.0, 0.0), corners=240):
    turn = 2 * np.pi * np.arange(corners) / corners
    return np.stack([centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)], axis=1)


def square(half, centre=(0.0, 0.0)):
    return np.array(centre) + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


def rising(slope=0.1, scale=1.0):
    """Dose that rises with x: 10 Gy in the middle."""
    _z, _y, x = np.meshgrid(*GRID.axes(), indexing="ij")
    return Dose(GRID, (scale * (10 + slope * x)).astype(np.float32), MEANING, None)


def box(half=10.0, levels=(-6.0, -3.0, 0.0, 3.0)):
    return [(z, square(half)) for z in levels]


def test_a_box_in_a_rising_dose_has_the_doses_one_computes_by_hand():
    made = dvh(box(), 3.0, rising(), rising(scale=1.04))
    assert made.volume_cc == pytest.approx(20 * 20 * 12 / 1000)
    assert made.covered == 1.0
    assert made.planned.mean == pytest.approx(10.0, abs=1e-3)
    assert made.planned.dose_at(95) == pytest.approx(9.1, abs=0.02)
    assert made.planned.dose_at(50) == pytest.approx(10.0, abs=0.02)
    assert made.planned.dose_at(2) == pytest.approx(10.96, abs=0.02)
    assert made.planned.volume_at(9.5) == pytest.approx(75.0, abs=0.5)
    assert made.planned.volume_at(0) == 100.0
    assert made.planned.volume_at(12) == 0.0
    assert made.computed.mean == pytest.approx(10.4, abs=1e-3)
    assert made.computed.dose_at(95) == pytest.approx(1.04 * 9.1, abs=0.02)


def ramp(axis, gy_per_mm=0.1):
    """Dose that rises along z (0), y (1) or x (2): 10 Gy in the middle."""
    return Dose(
        GRID, (10 + gy_per_mm * np.meshgrid(*GRID.axes(), indexing="ij")[axis]).astype(np.float32), MEANING, None
    )


def sphere(radius, apart, first=0.0):
    levels = np.arange(-20, 20) * apart + first
    return [(float(z), circle(np.sqrt(radius**2 - z**2), corners=720)) for z in levels if abs(z) < radius - 1e-6]


@pytest.mark.parametrize(("radius", "apart"), [(15.0, 3.0), (15.0, 1.0), (25.0, 2.0), (5.0, 1.0), (5.0, 2.0)])
@pytest.mark.parametrize("first", [0.0, 1 / 3])
def test_a_sphere_has_its_volume(radius, apart, first):
    made = dvh(sphere(radius, apart, first * apart), apart, rising(), rising())
    exact = 4 / 3 * np.pi * radius**3 / 1000
    assert made.volume_cc == pytest.approx(exact, rel=1.05 * (apart / 2 / radius) ** 2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sphere_in_a_rising_dose_has_its_exact_dvh(axis):
    """The part above a plane is a spherical cap."""
    radius = 15.0
    made = dvh(sphere(radius, 1.0), 1.0, ramp(axis), ramp(axis, 0.2))
    assert made.planned.mean == pytest.approx(10, abs=1e-3)
    for mm in np.linspace(-12, 12, 9):
        high = radius - mm
        cap = 100 * high**2 * (3 * radius - high) / (4 * radius**3)
        assert made.planned.volume_at(10 + 0.1 * mm) == pytest.approx(cap, abs=0.8)
        assert made.computed.dose_at(cap) == pytest.approx(10 + 0.2 * mm, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cylinder_in_a_rising_dose_has_its_volume_and_its_exact_dvh(axis):
    """The part above a plane is a circular segment, or a slice."""
    radius, half = 15.0, 24.0
    levels = np.arange(-half + 1.5, half, 3.0)
    made = dvh([(float(z), circle(radius, corners=720)) for z in levels], 3.0, ramp(axis), ramp(axis))
    assert made.volume_cc == pytest.approx(np.pi * radius**2 * 2 * half / 1000, rel=5e-4)
    for mm in np.linspace(-14, 14, 9):
        segment = (radius**2 * np.arccos(mm / radius) - mm * np.sqrt(radius**2 - mm**2)) / (np.pi * radius**2)
        exact = segment if axis else 0.5 - mm / (2 * half)
        assert made.planned.volume_at(10 + 0.1 * mm) == pytest.approx(100 * exact, abs=1.3)


def test_a_contour_within_a_contour_is_a_hole():
    ring = [*box(), *[(z, square(5.0)) for z, _ in box()]]
    made = dvh(ring, 3.0, rising(), rising())
    assert made.volume_cc == pytest.approx((400 - 100) * 12 / 1000, rel=2e-3)


def test_contours_on_every_second_slice_stand_for_both_and_two_parts_do_not_grow_together():
    assert dvh(box(levels=(-6.0, 0.0, 6.0)), 3.0, rising(), rising()).volume_cc == pytest.approx(400 * 15 / 1000)
    assert dvh(box(levels=(-15.0, 15.0)), 3.0, rising(), rising()).volume_cc == pytest.approx(400 * 6 / 1000)


def test_points_outside_the_dose_grid_are_reported_and_not_counted():
    made = dvh([(0.0, square(10.0, (40.0, 0.0)))], 3.0, rising(), rising())
    assert made.covered == pytest.approx(0.5, abs=0.03)
    assert made.planned.mean == pytest.approx(13.5, abs=0.05)
    assert dvh([(0.0, square(3.0, (90.0, 0.0)))], 3.0, rising(), rising()) is None


def test_an_outline_is_crossed_where_it_is():
    assert crossings([square(10.0)], 2.0, 1).tolist() == [-10.0, 10.0]
    assert crossings([square(10.0)], 2.0, 0).tolist() == [-10.0, 10.0]
    assert crossings([square(10.0)], 11.0, 0).size == 0
