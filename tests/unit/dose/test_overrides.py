"""Structures with physical properties: what changes a dose is refused, what changes nothing is not."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.standin.small import SCANNER, beam, layer, plan
from tests.written import POSITIONS, patient_in_room

from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.structures import OVERRIDE, Overridden, StructureSet
from mqi_communicator.dose.overrides import override_problems

pytestmark = pytest.mark.pure

GRID = Grid((31, 101, 61), (-90.0, -150.0, -45.0), (3.0, 3.0, 3.0))  # x to 90, y to 150, z to 45
WATER = (("REL_MASS_DENSITY", 1.02), ("REL_ELEC_DENSITY", 0.9915), ("MEAN_EXCI_ENERGY", 70.2))
PMMA = (("REL_STOP_RATIO", 1.16),)
WHOLE = (-91.0, 91.0, -100.0, 151.0)


def phantom(value=0.0):
    """Air anterior of y = -100, water behind it."""
    hu = np.full(GRID.shape, -1000, dtype=np.float32)
    hu[:, GRID.axes()[1] > -100] = value
    return CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)


def ratio(hu):
    """Of an engine that takes HU / 1000 + 1 up to 500 HU and knows nothing beyond."""
    return np.where(hu <= 500, 1 + hu.astype(float) / 1000, np.nan)


def structure(area, properties, *, kind="ORGAN", number=1, z=(-45.0, 45.0), doubt=""):
    x0, x1, y0, y1 = area
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    contours = tuple((level, corners) for level in np.arange(z[0], z[1] + 1, 3.0).tolist())
    return Overridden(number, "canary", kind, properties, contours, doubt)


def shot(gantry=0.0, energy=100.0, number=1, isocenter=(0.0, 0.0, 0.0)):
    """Three spots within 10 mm; 100 MeV goes 77 mm, and so less than 105 + 0.022 mm with what is spared."""
    one = layer(energy, (1.0, 1.0, 1.0), ((-10.0, 0.0), (0.0, 0.0), (10.0, 5.0)))
    return beam(number=number, gantry_angle=gantry, couch_angle=0.0, isocenter=isocenter, layers=(one,))


def problems(*structures, ct=None, beams=(), engine=ratio):
    given = StructureSet("1.2.4", ("FRAME",), (), ("1.2.6",), structures, "RS.dcm")
    return override_problems(given, plan(*(beams or (shot(),))), ct or phantom(), engine, lambda _: (2000.0, 2500.0))


def test_an_external_of_water_on_a_ct_of_water_changes_nothing():
    assert problems(structure(WHOLE, WATER, kind="EXTERNAL")) == ()
    assert problems(structure(WHOLE, WATER, kind="EXTERNAL"), ct=phantom(9.0)) == ()


def test_an_external_of_water_on_something_else_is_refused_with_what_was_found():
    (one,) = problems(structure(WHOLE, WATER, kind="EXTERNAL"), ct=phantom(37.0))
    assert (one.code, one.file) == (OVERRIDE, "RS.dcm")
    assert "structure 1 (canary) overrides the density of the CT (3006,00B0)" in str(one)
    assert "MEAN_EXCI_ENERGY 70.2 give a stopping ratio of 1.000, the engine takes 1.037" in str(one)
    assert "in the path of beam 1, at " in str(one)


def test_one_voxel_is_enough():
    ct = phantom()
    ct.hu[15, 30, 30] = 11.0  # y = -60, on the axis
    (one,) = problems(structure(WHOLE, WATER, kind="EXTERNAL"), ct=ct)
    assert str(one).endswith("at 0, -60, 0 mm")


@pytest.mark.parametrize(
    ("area", "hit"),
    [
        ((-5, 5, -80, -60), True),  # on the axis
        ((40, 60, -80, -60), False),  # 30 mm beside the outermost spot
        ((32, 60, -80, -60), True),  # 22 mm
        ((-5, 5, -30, -10), True),  # 70 to 90 mm deep
        ((-5, 5, 40, 60), False),  # 140 mm deep
        ((-5, 5, -130, -110), True),  # in the air before the skin
    ],
)
def test_only_what_is_on_a_beams_way_counts(area, hit):
    assert bool(problems(structure(area, PMMA))) is hit


def test_any_beam_counts_and_is_named():
    beside = structure((60, 80, -10, 10), PMMA)
    assert problems(beside) == ()
    (one,) = problems(beside, beams=(shot(), shot(90.0, number=7)))
    assert "in the path of beam 7" in str(one)


def test_energy_and_what_lies_before_decide_how_deep_is_too_deep():
    deep = structure((-5, 5, 40, 60), PMMA)
    assert problems(deep, beams=(shot(energy=150.0),))
    lighter = phantom()
    lighter.hu[:, 20:50, 28:33] = -700  # a channel of lung on the axis
    assert problems(deep, ct=lighter)
    assert problems(deep, engine=lambda hu: np.where(hu > -500, np.nan, ratio(hu)))  # unknown stops nothing


def test_a_structure_without_a_volume_has_no_voxel():
    assert problems(Overridden(1, "point", "MARKER", PMMA, ())) == ()
    assert problems(structure((-0.4, 0.4, -80.4, -79.6), PMMA)) == ()


def test_external_yields_to_other_overridden_structures():
    ct = phantom()
    ct.hu[:, 20:30] = 160.0
    block = structure((-91, 91, -91.5, -61.5), PMMA, number=2)
    outer = structure(WHOLE, WATER, kind="EXTERNAL")
    assert problems(outer, block, ct=ct) == ()
    (one,) = problems(outer, ct=ct)
    assert "structure 1" in str(one)
    organ = structure(WHOLE, WATER, number=3)
    assert [str(p).split()[2] for p in problems(organ, block, ct=ct)] == ["3"]


def test_what_the_engine_or_the_structure_does_not_tell_is_refused():
    ct = phantom()
    ct.hu[:, 30, 30] = 600.0
    (one,) = problems(structure(WHOLE, WATER, kind="EXTERNAL"), ct=ct)
    assert "the engine takes an unknown one" in str(one)
    (two,) = problems(structure((-5, 5, -80, -60), (("ELEM_FRACTION", 0.0),)))
    assert "ELEM_FRACTION gives an unknown stopping ratio" in str(two)
    assert problems(structure((-5, 5, -80, -60), (("EFFECTIVE_Z", 7.0),))) == ()
    (three,) = problems(structure((40, 60, -80, -60), PMMA, doubt="its contours are not axial"))
    assert "its contours are not axial, so its position is unknown" in str(three)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(
    ("gantry", "area", "hit"),
    [
        (0.0, (-5, 5, -80, -60), True),  # above the isocentre
        (0.0, (60, 80, -10, 10), False),
        (90.0, (60, 80, -10, 10), True),  # to the right of one who faces the gantry
        (90.0, (-5, 5, -80, -60), False),
        (90.0, (-80, -60, -10, 10), False),
    ],
)
def test_a_beam_passes_what_is_in_its_way_in_the_room(position, gantry, area, hit):
    """`area` is in the axes of a patient head first supine; structure, CT and isocentre are in the patient's."""
    in_room = patient_in_room(position)
    corners = np.array([(x, y) for x in area[:2] for y in area[2:]])
    corners = np.column_stack([corners, np.zeros(4)]) @ in_room
    (x0, y0), (x1, y1) = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    water = CTVolume(GRID, np.zeros(GRID.shape, np.float32), "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    one = replace(shot(gantry), position=position)
    assert bool(problems(structure((x0, x1, y0, y1), PMMA), beams=(one,), ct=water)) is hit


def test_air_that_is_air_is_the_same():
    assert problems(structure((-91, 91, -151, -101), (("REL_MASS_DENSITY", 0.0009),))) == ()
    assert problems(structure((-91, 91, -151, -101), (("REL_MASS_DENSITY", 0.0011),)))


def test_a_large_ct_is_looked_at_in_seconds():
    grid = Grid((60, 512, 512), (-250.0, -250.0, -180.0), (0.977, 0.977, 6.0))
    ct = CTVolume(grid, np.zeros(grid.shape, dtype=np.float32), "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    ct.hu[30, 500, 250] = 100.0  # on the axis, beyond all ranges
    spots = np.random.default_rng(1).uniform(-100, 100, (8000, 2))
    wide = [
        beam(number=n, gantry_angle=g, isocenter=(0.0, 0.0, 0.0), layers=(layer(150.0, np.ones(8000), spots),))
        for n, g in ((1, 0.0), (2, 45.0), (3, 300.0))
    ]
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    corners = 249 * np.column_stack([np.cos(turns), np.sin(turns)])
    outer = Overridden(1, "", "EXTERNAL", WATER, tuple((z, corners) for z in grid.axes()[0].tolist()))
    begun = time.process_time()
    assert problems(outer, ct=ct, beams=wide) == ()
    assert time.process_time() - begun < 15.0
