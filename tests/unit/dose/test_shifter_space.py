"""A range shifter within the patient is refused: an engine that starts its protons behind it would skip tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.shifters import PMMA, Models, setting, with_settings
from tests.standin.small import SCANNER, beam, layer, plan

from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.structures import Roi, StructureSet
from mqi_communicator.dose.prepare.draft import Draft
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.shifter_space import check_shifter_space

pytestmark = pytest.mark.pure

GRID = Grid((41, 101, 81), (-120.0, -150.0, -60.0), (3.0, 3.0, 3.0))  # x to 120, y to 150, z to 60
SKIN = -100.0  # mm: air anterior of it; the isocentre is at 0


def phantom(*boxes):
    """Water behind the skin, and boxes ((x0, x1), (y0, y1), (z0, z1), HU)."""
    zs, ys, xs = GRID.axes()
    hu = np.full(GRID.shape, -1000, dtype=np.float32)
    hu[:, ys > SKIN] = 0
    for (x0, x1), (y0, y1), (z0, z1), value in boxes:
        at = np.ix_((zs >= z0) & (zs <= z1), (ys >= y0) & (ys <= y1), (xs >= x0) & (xs <= x1))
        hu[at] = value
    return CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)


def problems(
    distance,
    *boxes,
    gantry=0.0,
    structures=(),
    settings=None,
    isocenter=(0.0, 0.0, 0.0),
    ct=None,
    models=None,
    position="HFS",
):
    layers = tuple(layer(energy, (1.0, 1.0), ((-10.0, 0.0), (10.0, 5.0))) for energy in (180.0, 150.0))
    given = beam(gantry_angle=gantry, couch_angle=0.0, isocenter=isocenter, layers=layers, position=position)
    given = with_settings(given, *(settings or ((setting(distance=distance),),)))
    held = StructureSet("1.2.4", ("FRAME",), (), ("1.2.6",), tuple(structures), "RS.dcm")
    draft = Draft(replace(plan(given), file="RP.dcm"), phantom(*boxes) if ct is None else ct, held)
    found = check_shifter_space(draft, models or Models({"RS": PMMA}), PreparationOptions()).problems
    assert all(one.code == "dose.range_shifter" and one.advice for one in found)
    return [str(one) for one in found]


def test_one_in_the_air_is_accepted_and_one_below_the_skin_is_refused():
    assert problems(102.0) == []
    (found,) = problems(95.0)
    assert found.startswith(
        "RP.dcm, beam 3 (canary): range shifter RS would be in the patient: its downstream edge is 95 mm from the "
        "isocentre, and the CT has 0 HU at "
    )
    assert "expected air (below -900 HU) and nothing of EXTERNAL" in found


def test_open_layers_and_beams_need_no_space():
    assert problems(0.0, settings=((),)) == []
    assert len(problems(0.0, settings=((), (setting(distance=50.0),)))) == 1


def test_an_engine_that_computes_no_range_shifter_needs_no_space_for_one_that_is_out():
    for models in (Models(None), Models(known=False)):
        assert problems(0.0, settings=((setting(word="OUT", distance=0.0),),), models=models) == []


def test_matter_beside_the_field_is_no_obstacle_and_within_three_sigma_it_is():
    above = ((-140.0, -130.0), (-3.0, 3.0), 50.0)  # y, z, HU
    assert problems(105.0, ((60.0, 90.0), *above)) == []
    assert len(problems(105.0, ((-3.0, 3.0), *above))) == 1
    assert len(problems(105.0, ((28.0, 31.0), *above))) == 1  # the spot at 10 mm and 25 mm
    beside = ((49.0, 52.0), *above)  # seen from the magnets 45 mm from the spot
    assert problems(105.0, beside, models=Models({"RS": PMMA}, sigma=float("nan"))) == []
    assert len(problems(105.0, beside, models=Models({"RS": PMMA}, sigma=16.0))) == 1


def test_a_blanket_is_matter_and_air_is_not():
    blanket = ((-120.0, 120.0), (-126.0, -123.0), (-60.0, 60.0))
    assert len(problems(105.0, (*blanket, -880.0))) == 1
    assert problems(105.0, (*blanket, -920.0)) == []
    assert problems(130.0, (*blanket, -880.0)) == []


def test_the_side_of_the_source_turns_with_the_gantry():
    arm = ((60.0, 90.0), (-3.0, 3.0), (-3.0, 3.0), 50.0)  # at the patient's left, behind the skin or not
    hu = np.full(GRID.shape, -1000, dtype=np.float32)
    zs, ys, xs = GRID.axes()
    hu[np.ix_((zs >= -3) & (zs <= 3), (ys >= -3) & (ys <= 3), (xs >= 60) & (xs <= 90))] = arm[3]
    ct = CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    assert len(problems(70.0, gantry=90.0, ct=ct)) == 1
    assert problems(95.0, gantry=90.0, ct=ct) == []
    for gantry in (0.0, 180.0, 270.0):
        assert problems(70.0, gantry=gantry, ct=ct) == []


def test_the_side_of_the_source_is_the_patients_back_if_he_is_prone():
    assert problems(110.0) == []
    assert len(problems(110.0, position="HFP")) == 1
    assert problems(155.0, position="HFP") == []


def test_a_cavity_of_the_body_counts_as_body():
    cavity = ((-120.0, 120.0), (-126.0, -103.0), (-60.0, 60.0), -1000.0)
    corners = np.array([[-90.0, -130.0], [90.0, -130.0], [90.0, 140.0], [-90.0, 140.0]])
    contours = tuple((level, corners) for level in np.arange(-60.0, 61.0, 3.0).tolist())
    body = Roi(1, "canary", "EXTERNAL", (("REL_MASS_DENSITY", 1.0),), contours)
    assert problems(105.0, cavity) == []
    assert len(problems(105.0, cavity, structures=[body])) == 1
    assert problems(105.0, cavity, structures=[replace(body, kind="ORGAN")]) == []
    assert problems(135.0, cavity, structures=[body]) == []


def test_a_value_that_is_no_number_is_no_air():
    ct = phantom()
    hu = ct.hu.copy()
    hu[20, 10, 40] = np.nan  # y = -120
    assert len(problems(105.0, ct=replace(ct, hu=hu))) == 1


def test_the_distance_counts_from_the_isocentre():
    assert problems(60.0, isocenter=(0.0, -50.0, 0.0)) == []
    assert len(problems(40.0, isocenter=(0.0, -50.0, 0.0))) == 1
