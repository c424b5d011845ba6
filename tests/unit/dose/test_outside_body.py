"""What is outside the body where the planning system computes nothing there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.dose.test_densities import (
    BOLUS,
    GRID,
    PMMA,
    WATER,
    WHOLE,
    at,
    checks,
    computed,
    phantom,
    problems,
    shot,
    staged,
    structure,
)

from mqi_communicator.dicom.structures import Roi
from mqi_communicator.dose.prepare.density_problems import OUTSIDE_BODY

pytestmark = pytest.mark.pure

AIR = {"canary": "air"}  # the planning system of these plans
EXTERNAL = structure(WHOLE, (), kind="EXTERNAL")
COUCH = (-60.0, 60.0, -130.0, -112.0)  # in the path of a beam from above


def with_couch():
    ct = phantom()
    ct.hu[:, round(20 / 3) : round(38 / 3), 10:51] = 100.0
    return ct


def test_outside_the_body_is_as_scanned_unless_the_site_says_otherwise():
    ct = with_couch()
    assert staged(EXTERNAL, ct=ct).ct is ct
    assert staged(EXTERNAL, ct=ct, outside_body={"another": "air"}).ct is ct
    assert staged(EXTERNAL, ct=ct, outside_body={"CANARY ": "air"}).ct is not ct


def test_outside_the_body_is_air():
    ct = with_couch()
    hu = computed(structure(WHOLE, (), kind="EXTERNAL"), ct=ct, outside_body=AIR)
    below = GRID.axes()[1] < -100
    assert (hu[:, below] == -1000).all()
    np.testing.assert_array_equal(hu[:, ~below], ct.hu[:, ~below])


@pytest.mark.parametrize("kind", ["SUPPORT", "FIXATION"])
def test_couch_and_mask_are_part_of_the_body(kind):
    couch = structure(COUCH, (), kind=kind, number=2)
    draft = staged(EXTERNAL, couch, ct=with_couch(), outside_body=AIR)
    assert at(draft.ct.hu, 0, -120, 0) == 100
    assert not checks(draft, "removed_material")[0].review
    dense = replace(couch, properties=PMMA)
    assert at(computed(EXTERNAL, dense, ct=with_couch(), outside_body=AIR), 0, -120, 0) == 160


def test_a_bolus_is_part_of_the_body_if_beams_name_it():
    bolus = structure(BOLUS, PMMA, kind="BOLUS", number=5)
    hu = computed(EXTERNAL, bolus, beams=(shot(boli=(5,)),), ct=with_couch(), outside_body=AIR)
    assert at(hu, 0, -120, 0) == 160
    unused = structure(BOLUS, (), kind="BOLUS", number=5)
    assert at(computed(EXTERNAL, unused, ct=with_couch(), outside_body=AIR), 0, -120, 0) == -1000


def test_a_forgotten_couch_is_for_review_with_the_water_that_was_removed():
    (one,) = checks(staged(EXTERNAL, ct=with_couch(), outside_body=AIR), "removed_material")
    assert (one.scope, one.unit, one.review) == ("beam 1", "mm", True)
    assert one.value == pytest.approx(18 * 1.1, abs=1.0)
    assert "check that the plan has the couch" in one.note
    (two,) = checks(staged(EXTERNAL, beams=(shot(180.0),), ct=with_couch(), outside_body=AIR), "removed_material")
    assert (two.value, two.review) == (0.0, False), "it is behind the range"


def test_a_couch_of_another_type_is_not_part_of_the_body_and_is_missed():
    virtual = structure(COUCH, PMMA, kind="ORGAN", number=2)
    draft = staged(EXTERNAL, virtual, outside_body=AIR)
    assert at(draft.ct.hu, 0, -120, 0) == -1000
    (one,) = checks(draft, "removed_material")
    assert one.value == pytest.approx(18 * 1.16, abs=1.0)
    assert one.review


@pytest.mark.parametrize("rois", [(), (Roi(1, "", "EXTERNAL", (), ()),), (structure(WHOLE, (), kind="SUPPORT"),)])
def test_without_external_there_is_no_body(rois):
    (one,) = problems(*rois, outside_body=AIR)
    assert one.code == OUTSIDE_BODY
    assert "no structure of type EXTERNAL (3006,00A4) has contours in the CT" in str(one)
    assert "preparation.outside_body of canary is air" in str(one)
    assert problems(*rois) == ()


def test_an_external_in_another_frame_of_reference_is_refused():
    (one,) = problems(replace(EXTERNAL, doubt="it is drawn in another frame"), outside_body=AIR)
    assert "structure 1 (canary) is part of the body, and it is drawn in another frame" in str(one)


def holed(x0, x1, y0, y1, properties=()):
    """An EXTERNAL with a hole, drawn as a second contour in it."""
    hole = structure((x0, x1, y0, y1), ())
    return replace(EXTERNAL, contours=(*EXTERNAL.contours, *hole.contours), properties=properties)


def test_a_hole_with_more_than_air_in_a_beams_path_is_refused():
    (one,) = problems(holed(-15, 15, -60, -40), outside_body=AIR)
    assert "EXTERNAL has a hole with 0 HU in the path of beam 1, at" in str(one)
    (two,) = problems(holed(-15, 15, -60, -40, WATER), outside_body=AIR)
    assert two.code == OUTSIDE_BODY
    assert problems(holed(60, 80, -60, -40), outside_body=AIR) == (), "no beam passes it"
    assert problems(holed(-15, 15, -60, -40)) == ()


def test_a_hole_of_air_or_filled_by_another_part_is_none():
    ct = phantom()
    ct.hu[:, 30:37, 25:36] = -1000
    assert problems(holed(-15, 15, -60, -40), ct=ct, outside_body=AIR) == ()
    inner = structure((-16, 16, -61, -39), (), kind="FIXATION", number=2)
    assert problems(holed(-15, 15, -60, -40), inner, outside_body=AIR) == ()


def test_an_external_that_is_not_drawn_where_a_beam_passes_is_refused():
    short = structure(WHOLE, (), kind="EXTERNAL", z=(-45.0, 9.0))
    (one,) = problems(short, outside_body=AIR)
    assert "EXTERNAL is not drawn in the slice at z = 12 mm with 0 HU in the path of beam 1" in str(one)
    ct = phantom()
    ct.hu[19:] = -1000
    assert problems(short, ct=ct, outside_body=AIR) == (), "there is only air"


def test_an_external_that_cuts_the_skin_is_for_review():
    cut = structure((-91.0, 91.0, -94.0, 151.0), (), kind="EXTERNAL")
    (one,) = checks(staged(cut, outside_body=AIR), "removed_material")
    assert one.value == pytest.approx(6.0, abs=1.0)
    assert one.review
