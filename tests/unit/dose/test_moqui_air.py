"""How much of moqui's dense air a beam crosses before the patient."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.standin.small import SCANNER, beam, layer, moqui, plan

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dose.engine import PreparedCase

pytestmark = pytest.mark.pure

SPOTS = ((-20.0, -20.0), (20.0, 20.0), (0.0, 0.0), (20.0, -20.0))


def block(low=80.0, high=40.0, shape=(21, 61, 61)):
    """A CT of 3 mm around the origin, 183 mm wide: water, but for air up to `low` mm from its left (+x) edge and
    `high` mm from its anterior (-y) edge. One voxel in the corner of that air is no air, so that all of it is sent."""
    grid = Grid(shape, tuple(-3.0 * (n // 2) for n in shape[::-1]), (3.0, 3.0, 3.0))
    hu = np.zeros(shape, dtype=np.float32)
    _, y, x = grid.axes()
    hu[:, :, x > x[-1] + 1.5 - low] = -1000
    hu[:, y < y[0] - 1.5 + high] = -1000
    hu[0, 0, -1] = 0
    return CTVolume(grid, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)


def shot(gantry, number=3, **changes):
    layers = (layer(spots=SPOTS, weights=(1.0, 1.0, 1.0, 1.0)),)
    return beam(
        number=number, gantry_angle=gantry, couch_angle=0.0, isocenter=(0.0, 0.0, 0.0), layers=layers, **changes
    )


def found(ct, *beams, **output):
    return moqui(**output).case(PreparedCase(plan(*beams), ct)).cautions()


@pytest.mark.parametrize(("gantry", "air"), [(0.0, 40.0), (90.0, 80.0), (270.0, 0.0), (180.0, 0.0)])
def test_air_on_the_side_of_the_beam_is_told(gantry, air):
    (caution,) = found(block(), shot(gantry))
    assert (caution.name, caution.scope, caution.unit) == ("engine_air", "beam 3", "mm")
    assert caution.value == pytest.approx(air * 0.0113, abs=0.035)  # a voxel
    assert caution.review is (air == 80.0)
    assert caution.limit == "at most 0.5 mm of water"


def test_the_limit_is_the_sites():
    (tight,), (wide,) = (found(block(), shot(0.0), air_mm_water=limit) for limit in (0.2, 1.0))
    assert tight.review
    assert not wide.review


def test_each_beam_has_its_own_and_unknown_machines_have_none():
    cautions = found(block(), shot(0.0, 1), shot(90.0, 2), shot(0.0, 4, machine="other"))
    assert [(one.scope, one.review) for one in cautions] == [("beam 1", False), ("beam 2", True)]


def test_only_air_behind_the_place_where_protons_start_counts():
    (caution,) = found(block(), shot(90.0, snout_position=-20.0))  # they start 50 mm upstream of it, at x = 30
    assert caution.value == pytest.approx((30 - 11.5) * 0.0113, abs=0.035)


@pytest.mark.parametrize("hu", [-200.0, -950.0])
def test_a_mask_is_not_the_skin_and_foam_is_taken_for_air_where_it_is_as_light(hu):
    ct = block(low=0.0, high=60.0)
    ct.hu[:, 5] = hu  # 3 mm of it, 15 mm behind the edge
    (caution,) = found(ct, shot(0.0))
    assert caution.value == pytest.approx((57 if hu == -200.0 else 60) * 0.0113, abs=0.03)


def test_a_cavity_in_the_patient_is_not_before_it():
    ct = block(low=0.0, high=30.0)
    ct.hu[:, 20:30] = -1000
    (caution,) = found(ct, shot(0.0))
    assert caution.value == pytest.approx(30 * 0.0113, abs=0.03)


def test_a_beam_that_meets_nothing_has_no_air_to_tell_of():
    ct = block()
    ct.hu[:] = -1000
    assert found(ct, shot(0.0)) == ()


@pytest.mark.parametrize("gantry", [0.0, 90.0])
def test_air_that_is_not_sent_is_none(gantry):
    ct = block(low=80.0, high=80.0)
    ct.hu[0, 0, -1] = -1000
    (caution,) = found(ct, shot(gantry))
    assert caution.value == pytest.approx(12 * 0.0113, abs=0.035)  # 4 of 27 rows or columns of air are kept
    assert not caution.review


def test_a_ct_that_moqui_cannot_have_is_refused_as_before():
    with pytest.raises(DicomProblem, match="121 rows and 61 columns"):
        found(block(low=0.0, high=0.0, shape=(21, 121, 61)), shot(90.0))


def test_a_large_ct_is_looked_at_quickly():
    grid = Grid((240, 512, 512), (-250.0, -250.0, -240.0), (0.977, 0.977, 2.0))
    hu = np.zeros(1, dtype=np.float32)
    ct = CTVolume(grid, np.broadcast_to(hu, grid.shape), "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    spots = np.random.default_rng(1).uniform(-100, 100, (8000, 2))
    one = beam(isocenter=(0.0, 0.0, 0.0), layers=(layer(spots=spots, weights=np.ones(8000)),) * 3)
    begun = time.process_time()
    (caution,) = found(ct, one)
    assert time.process_time() - begun < 2.0
    assert caution.value == 0.0
