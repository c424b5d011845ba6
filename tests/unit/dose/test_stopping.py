"""Stopping ratios: what structures are meant to have, and what the engines take from a CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.standin.small import moqui_setup, volume
from tests.unit.dose.test_mcsquare_engine import setup as mcsquare_setup

from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.stopping import stopping_ratio as of_curve
from mqi_communicator.dose.moqui.stopping import stopping_ratio as of_moqui
from mqi_communicator.dose.stopping import bethe_ratio, range_in_water, target_ratio

pytestmark = pytest.mark.pure

CURVE = Curve(b"# HU g/cm3\n-1000 0.001\n0 1.000\n100 1.1\n", b"-1050 39 # Air\n-950 40\n-22 44 # Soft\n50 17\n90 7\n")


def hu(*values):
    return np.array(values, dtype=np.float32)


def test_water_is_water():
    assert bethe_ratio(1.0, 75.3) == 1.0
    assert range_in_water(150.0) == pytest.approx(157.7, rel=0.02)  # CSDA


@pytest.mark.parametrize(
    ("output", "ratio"),
    [
        ({"REL_STOP_RATIO": 1.01, "REL_ELEC_DENSITY": 5.0}, 1.01),
        (
            {"REL_MASS_DENSITY": 1.02, "REL_ELEC_DENSITY": 0.9915, "MEAN_EXCI_ENERGY": 70.2, "ELEM_FRACTION": 0.0},
            1.0004,
        ),
        ({"REL_ELEC_DENSITY": 1.1565, "MEAN_EXCI_ENERGY": 74.0, "REL_MASS_DENSITY": 1.19}, 1.159),
        ({"REL_MASS_DENSITY": 1.02, "REL_ELEC_DENSITY": 0.99}, 0.99),
        ({"REL_MASS_DENSITY": 1.02, "EFFECTIVE_Z": 7.0}, 1.02),
        ({"REL_STOP_RATIO": 0.0}, 0.0),
    ],
)
def test_the_target_of_a_structure(output, ratio):
    assert target_ratio(tuple(output.items())) == pytest.approx(ratio, abs=5e-4)


def test_effective_numbers_alone_change_nothing():
    assert target_ratio((("EFFECTIVE_Z", 7.0), ("EFF_Z_PER_A", 0.5))) is None


@pytest.mark.parametrize(
    "output",
    [
        (("ELEM_FRACTION", 0.0),),
        (("MEAN_EXCI_ENERGY", 70.0),),
        (("", 1.0),),
        (("REL_STOP_RATIO", float("nan")),),
        (("REL_STOP_RATIO", -1.0),),
        (("REL_STOP_RATIO", 1.0), ("REL_STOP_RATIO", 1.1)),
        (("REL_ELEC_DENSITY", 1.0), ("MEAN_EXCI_ENERGY", 0.0)),
    ],
)
def test_a_target_that_cannot_be_told(output):
    assert np.isnan(target_ratio(output))


def test_mcsquare_takes_density_times_the_materials_stopping_power():
    found = of_curve(CURVE, hu(-500, 0, 60, 80))
    np.testing.assert_allclose(found, [0.5005 * 1.0060, 1.0171, 1.06, 1.08])


def test_mcsquare_outside_its_curve_or_with_a_strange_material_is_unknown():
    assert np.isnan(of_curve(CURVE, hu(-1060, -1001, 101, 95))).all()


def test_moqui_takes_0_hu_for_water():
    found = of_moqui(hu(0, 0.4, -100, 100, 40))
    np.testing.assert_allclose(found, [0.9999, 0.9999, 0.913, 1.069, 1.038], atol=1e-3)
    assert (np.diff(of_moqui(np.arange(-120, 101, dtype=np.float32))) > -0.002).all()


def test_moqui_of_air_lung_and_bone():
    """Values of mqi_patient_materials.hpp by hand: density, times correction, times the fit at 100 MeV."""
    found = of_moqui(hu(-1000, -2000, -500, 250, 1234))
    np.testing.assert_allclose(found, [0.0100, 0.0100, 0.5457, 1.1347, 1.6121], atol=1e-3)


def test_moqui_of_metal_is_unknown():
    assert np.isnan(of_moqui(hu(2001, 3000, np.nan))).all()


def test_engines_know_the_ratio_of_their_scanners_alone():
    ct = volume()
    ours = moqui_setup().ratio(ct)
    assert ours is not None
    assert ours(hu(0))[0] == pytest.approx(1.0, abs=1e-3)
    for setup in (moqui_setup(), mcsquare_setup()):
        assert setup.ratio(replace(ct, scanner="other")) is None


def test_a_build_of_the_sites_own_is_not_known():
    ours = moqui_setup(flavour="ours", flavours={"ours": {"based_on": "upstream"}}).ratio(volume())
    assert ours is not None
    assert np.isnan(ours(hu(0))).all()


@pytest.mark.parametrize("flavour", ["fork", "clinic"])
def test_forks_have_conversions_of_their_own_that_are_not_known(flavour):
    """moqui_v2, for example, has other densities and 0.94 times another stopping power."""
    theirs = moqui_setup(flavour=flavour).ratio(volume())
    assert theirs is not None
    assert np.isnan(theirs(hu(0))).all()


@pytest.mark.parametrize(
    ("text", "sad"),
    [
        (b"SMX to Isocenter distance\n2234.8\n\nSMY to Isocenter distance\n1859.1 \n", (2234.8, 1859.1)),
        (b"nothing", (2000.0, 2000.0)),
    ],
)
def test_the_magnets_of_a_beam_model(text, sad):
    assert BeamModel(text, (1.0,), (1.0,), (1.0,)).sad == sad
