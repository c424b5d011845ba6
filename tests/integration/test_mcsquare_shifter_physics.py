"""Range shifters with the engine itself: against an equal slab that is drawn into the CT, and what it must not omit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit
from tests.integration.test_mcsquare_physics import (  # noqa: F401 - fixtures
    NOBODY,
    accepted,
    compute,
    field,
    home,
    model,
    r80,
    volume,
)

from mqi_communicator.dicom.records import Grid, ShifterSetting
from mqi_communicator.dose.engine import Accepted, Refused
from mqi_communicator.dose.mcsquare.tables import parse_curve
from mqi_communicator.dose.range_shifter import RangeShifter

pytestmark = [pytest.mark.real, pytest.mark.long]

AIR, WATER, PMMA = -1000.0, 0.0, 1000.0
CURVE = parse_curve(
    b"-1000 0.0012\n-600 0.0012\n-500 1\n500 1\n600 1.2\n2000 1.2\n", b"-1050 13\n-550 17\n550 64\n", NOBODY
)
DECLARED = RangeShifter(77.02, 64, 1.2, "plan", (50.0, 400.0))  # 65 mm of PMMA
DISTANCE, THICK, DEEP = 200, 65, 100  # mm: downstream face and thickness of the slab, skin to isocentre
GRID = Grid((50, 380, 50), (-49.0, -279.5, -49.0), (2.0, 1.0, 2.0))  # y from -280 to 100 mm; the source is at -y
PROTONS = 200_000


@pytest.fixture
def shifted_model(model):  # noqa: F811
    return replace(model, shifters={"RS": DECLARED, "RS2": replace(DECLARED, material=17, density=1.0)})


def phantom(*, slab=False):
    ys = GRID.axes()[1]
    hu = np.full(GRID.shape, AIR, dtype=np.float32)
    hu[:, ys > -DEEP] = WATER
    if slab:
        hu[:, (ys < -DISTANCE) & (ys > -DISTANCE - THICK)] = PMMA
    return volume(GRID, hu)


def one(name="RS", distance=float(DISTANCE), wet=DECLARED.wet):
    return ShifterSetting(name, "IN", distance, wet)


def shot(*layers):
    """Layers of (MeV, range shifter or None, MU); one spot each, of one MU unless given."""
    beam = field(*[(energy, [(0.0, 0.0, *(mu or (1.0,)))]) for energy, _, *mu in layers])
    made = zip(beam.layers, layers, strict=True)
    return replace(
        beam, layers=tuple(replace(layer, shifters=() if had is None else (had,)) for layer, (_, had, *_) in made)
    )


def in_water(dose):
    """Depths below the skin in mm, and the dose there [z, depth, x]."""
    ys = GRID.axes()[1]
    return ys[ys > -DEEP] + DEEP, dose.gy[:, ys > -DEEP].astype(float)


def sigma(dose, depth, axis):
    """The lateral standard deviation in mm along x (0) or z (2): a Gaussian fitted to the core of the profile."""
    depths, gy = in_water(dose)
    profile = gy[:, abs(depths - depth) < 6].sum(axis=(axis, 1))
    at = GRID.axes()[2]
    core = profile > 0.25 * profile.max()

    def gaussian(x, height, centre, width):
        return height * np.exp(-((x - centre) ** 2) / (2 * width**2))

    (_, _, width), _ = curve_fit(gaussian, at[core], profile[core], (profile.max(), 0.0, 6.0))
    return abs(width)


def test_a_range_shifter_is_the_slab_that_it_replaces(compute, shifted_model):  # noqa: F811
    """Range is blind to where it is: only the lateral spread tells the downstream face from centre or upstream face, by
    10 to 20 %. Slabs in the CT take 0.1 (water) to 0.2 mm (PMMA) more range than the engine's block of that thickness.
    """
    given = {"curve": CURVE, "with_model": shifted_model, "histories_per_beam": PROTONS}
    block = accepted(compute(shot((150.0, one())), phantom(), **given))
    slab = accepted(compute(shot((150.0, None)), phantom(slab=True), **given))
    depths, ours = in_water(block)
    _, theirs = in_water(slab)
    reach = r80(depths, theirs.sum(axis=(0, 2)))
    assert 80 < reach < 84
    assert r80(depths, ours.sum(axis=(0, 2))) == pytest.approx(reach, abs=0.3)
    for depth in (20, 60):
        for axis in (0, 2):
            assert sigma(block, depth, axis) == pytest.approx(sigma(slab, depth, axis), rel=0.02)
    up_to = depths < reach - 6
    tens = [dose[:, up_to].sum(axis=(0, 2))[: 10 * (up_to.sum() // 10)].reshape(-1, 10) for dose in (ours, theirs)]
    np.testing.assert_allclose(tens[0].sum(axis=1), tens[1].sum(axis=1), rtol=0.01)


def test_in_for_some_layers_is_the_sum_of_what_each_layer_gives(compute, shifted_model):  # noqa: F811
    given = {"curve": CURVE, "with_model": shifted_model, "histories_per_beam": PROTONS}
    layers = [(165.0, one(), 1.0), (100.0, None, 3.0), (150.0, one("RS2", 150.0, 30.0), 2.0)]
    together = accepted(compute(shot(*layers), phantom(), **given))
    apart = [accepted(compute(shot(layer), phantom(), **{**given, "histories_per_beam": 100_000})) for layer in layers]
    depths, gy = in_water(together)
    total = sum(in_water(dose)[1] for dose in apart)
    reaches = [r80(depths, in_water(dose)[1].sum(axis=(0, 2))) for dose in apart]
    assert [round(reach / 10) for reach in reaches] == [11, 8, 13]
    tens = [dose.sum(axis=(0, 2)).reshape(-1, 10).sum(axis=1) for dose in (gy, total)]
    kept = tens[1] > 0.05 * tens[1].max()
    assert kept[:13].all()
    np.testing.assert_allclose(tens[0][kept], tens[1][kept], rtol=0.02)


def test_a_range_shifter_turns_with_the_gantry(compute, shifted_model):  # noqa: F811
    """A cube of water about the isocentre, from four sides: the same range, and the same spread of a spot."""
    cube = Grid((50, 50, 50), (-98.0, -98.0, -98.0), (4.0, 4.0, 4.0))
    beam = shot((150.0, one(distance=150.0)))
    found = []
    for gantry, couch in ((0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (270.0, 0.0)):
        turned = replace(beam, gantry_angle=gantry, couch_angle=couch)
        given = {"curve": CURVE, "with_model": shifted_model, "histories_per_beam": 50_000}
        gy = accepted(compute(turned, volume(cube, WATER), **given)).gy.astype(float)
        along, across = (1, 2) if gantry in (0.0, 180.0) else (2, 1)
        depth = gy.sum(axis=(0, across))
        depth = depth if gantry in (0.0, 270.0) else depth[::-1]
        profile = gy.sum(axis=(0, along))
        at = np.arange(50) * 4.0
        centre = (profile @ at) / profile.sum()
        found.append((r80(at, depth), centre, np.sqrt((profile @ (at - centre) ** 2) / profile.sum())))
    reach, centre, width = np.array(found).T
    assert np.ptp(reach) < 0.5
    assert 80 < reach.mean() < 84
    np.testing.assert_allclose(centre, 98.0, atol=0.5)
    np.testing.assert_allclose(width, width.mean(), rtol=0.05)


def test_the_log_of_a_beam_proves_what_was_computed(compute, shifted_model):  # noqa: F811
    ran = compute(
        shot((150.0, one()), (120.0, None), (140.0, one("RS2", 135.9, 34.3))),
        phantom(),
        curve=CURVE,
        with_model=shifted_model,
        histories_per_beam=2_000,
    )
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    assert ran.log.count("Enabled for all layers") == 2
    assert "Static position: 13.59 cm" in ran.log
    assert ran.dose is not None


OMITTED: dict[str, Callable[[bytes], bytes]] = {
    "a setting in lower case": lambda plan: plan.replace(b"RangeShifterSetting\nIN", b"RangeShifterSetting\nin"),
    "no thickness": lambda plan: re.sub(rb"####RangeShifterWaterEquivalentThickness\n\S+\n", b"", plan),
    "no distance": lambda plan: re.sub(rb"####IsocenterToRangeShifterDistance\n\S+\n", b"", plan),
    "no setting": lambda plan: plan.replace(b"####RangeShifterSetting\nIN\n", b""),
    "no setting in one layer": lambda plan: plan.replace(b"####RangeShifterSetting\nIN\n", b"", 1),
    "no range shifter in the field": lambda plan: re.sub(rb"###RangeShifterID\n\S+\n", b"", plan),
    "another thickness": lambda plan: plan.replace(b"77.02", b"40"),
    "another distance": lambda plan: plan.replace(b"\n200\n", b"\n265\n"),
    "another range shifter": lambda plan: plan.replace(b"RS0", b"RS9"),
}


@pytest.mark.parametrize("name", OMITTED)
def test_a_range_shifter_that_the_engine_omits_or_changes_gives_no_dose(compute, shifted_model, name):  # noqa: F811
    changed = []

    def spoil(plan: bytes) -> bytes:
        changed.append(OMITTED[name](plan) != plan)
        return OMITTED[name](plan)

    beam = shot((150.0, one()), (140.0, one()))
    given = {"curve": CURVE, "with_model": shifted_model, "histories_per_beam": 2_000}
    ran = compute(beam, phantom(), spoil=spoil, **given)
    assert changed == [True]
    assert isinstance(ran.judged, Refused), ran.log
    assert ran.code != 0 or not ran.judged.retryable
