"""Structures with a density of their own: they are written into the CT, and refused where that is not possible."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.standin.small import SCANNER, beam, layer, plan
from tests.written import POSITIONS, patient_in_room

from mqi_communicator.dicom.records import CTVolume, Device, Grid, LayerKind
from mqi_communicator.dicom.structures import Roi, StructureSet
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.prepare.densities import override_densities
from mqi_communicator.dose.prepare.density_problems import OVERRIDE
from mqi_communicator.dose.prepare.draft import Draft
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import STAGES

pytestmark = pytest.mark.pure

GRID = Grid((31, 101, 61), (-90.0, -150.0, -45.0), (3.0, 3.0, 3.0))  # x to 90, y to 150, z to 45
WATER = (("REL_MASS_DENSITY", 1.02), ("REL_ELEC_DENSITY", 0.9915), ("MEAN_EXCI_ENERGY", 70.2))
PMMA = (("REL_STOP_RATIO", 1.16),)
TOO_DENSE = (("REL_STOP_RATIO", 1.8),)  # the engine reaches 1.5
WHOLE = (-91.0, 91.0, -100.0, 151.0)


class Models:
    """An engine that takes HU / 1000 + 1 up to 500 HU and knows nothing beyond."""

    def __init__(self, ratio=None):
        self._ratio = ratio or (lambda hu: np.where(hu <= 500, 1 + hu.astype(float) / 1000, np.nan))

    def machine(self, _beam):
        return MachineModel((2000.0, 2500.0))

    def tube_voltage(self, _ct):
        return None

    def ratio(self, _ct):
        return self._ratio


def phantom(value=0.0):
    """Air anterior of y = -100, water behind it."""
    hu = np.full(GRID.shape, -1000, dtype=np.float32)
    hu[:, GRID.axes()[1] > -100] = value
    return CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER)


def structure(area, properties, *, kind="ORGAN", number=1, z=(-45.0, 45.0), doubt="", name="canary", step=3.0):
    x0, x1, y0, y1 = area
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    contours = tuple((level, corners) for level in np.arange(z[0], z[1] + step / 3, step).tolist())
    return Roi(number, name, kind, properties, contours, doubt)


def shot(gantry=0.0, energy=100.0, number=1, isocenter=(0.0, 0.0, 0.0), boli=()):
    """Three spots within 10 mm; 100 MeV goes 77 mm, and so less than 105 + 0.022 mm with what is spared."""
    one = layer(energy, (1.0, 1.0, 1.0), ((-10.0, 0.0), (0.0, 0.0), (10.0, 5.0)))
    aim = {"gantry_angle": gantry, "couch_angle": 0.0, "isocenter": isocenter}
    devices = tuple(Device("bolus", "ReferencedBolusSequence (300C,00B0)", "1 of them") for _ in boli)
    return beam(number=number, layers=(one,), boli=tuple(boli), devices=devices, **aim)


def staged(*structures, ct=None, beams=(), engine=None, **options):
    given = StructureSet("1.2.4", ("FRAME",), (), ("1.2.6",), structures, "RS.dcm")
    draft = Draft(plan(*(beams or (shot(),))), ct or phantom(), given)
    return override_densities(draft, Models(engine), PreparationOptions(**options))


def problems(*structures, **case):
    return staged(*structures, **case).problems


def computed(*structures, **case):
    """The HU that are computed."""
    draft = staged(*structures, **case)
    assert draft.problems == ()
    return draft.ct.hu


def at(hu, x, y, z):
    """The HU at a point in mm."""
    return hu[round((z + 45) / 3), round((y + 150) / 3), round((x + 90) / 3)]


def checks(draft, name="overrides"):
    return [one for one in draft.cautions if one.name == name]


def test_without_a_density_the_ct_is_the_same_object():
    ct = phantom(37.0)
    draft = staged(structure(WHOLE, (), kind="EXTERNAL"), structure(WHOLE, (("EFFECTIVE_Z", 7.0),), number=2), ct=ct)
    assert draft.ct is ct
    assert (draft.problems, draft.cautions) == ((), ())


def test_a_structure_gets_the_hu_whose_ratio_is_its_target_where_voxel_centres_are_in_it():
    ct = phantom(37.0)
    hu = computed(structure((-20.0, 20.0, -50.0, -31.0), PMMA), ct=ct)
    inside = np.zeros(GRID.shape, dtype=bool)
    _, y, x = GRID.axes()
    inside[:] = ((y > -50) & (y < -31))[:, None] & ((x > -20) & (x < 20))[None, :]
    np.testing.assert_array_equal(hu[inside], 160)
    np.testing.assert_array_equal(hu[~inside], ct.hu[~inside])
    assert ct.hu[inside].max() == 37, "the CT that was read is not changed"


def test_several_properties_of_an_external_of_water_are_water_and_not_its_mass_density():
    hu = computed(structure(WHOLE, WATER, kind="EXTERNAL"), ct=phantom(37.0))
    assert at(hu, 0, 0, 0) == 0
    assert at(hu, 0, -120, 0) == -1000


def test_the_mean_excitation_energy_of_water_is_the_sites():
    hu = computed(structure(WHOLE, WATER, kind="EXTERNAL"), water_ev=78.0)
    assert at(hu, 0, 0, 0) == 5


@pytest.mark.parametrize("value", [0.001, 0.26, 1.16, 1.4999])
def test_what_is_written_has_the_target_as_ratio(value):
    hu = computed(structure(WHOLE, (("REL_STOP_RATIO", value),)))
    assert 1 + at(hu, 0, 0, 0) / 1000 == pytest.approx(value, abs=6e-4)


def test_the_nearest_ratio_counts_where_the_conversion_jumps():
    def engine(hu):
        return np.where(hu < 50, 1.0 + hu / 1000, 0.98 + hu / 1000)  # 1.03 to 1.05 twice

    assert at(computed(structure(WHOLE, (("REL_STOP_RATIO", 1.06),)), engine=engine), 0, 0, 0) == 80


def test_a_ratio_that_the_conversion_does_not_offer_is_refused_with_what_it_offers():
    (one,) = problems(structure((-5, 5, -80, -60), TOO_DENSE))
    assert (one.code, one.file) == (OVERRIDE, "RS.dcm")
    assert "structure 1 (canary) overrides the density of the CT (3006,00B0)" in str(one)
    assert "REL_STOP_RATIO 1.8 gives a stopping ratio of 1.800" in str(one)
    assert "offers is 1.500 at 500 HU; the engine takes 1.000 from the CT in the path of beam 1, " in str(one)
    assert str(one).endswith("at 0, -78, -27 mm")
    assert computed(structure((-5, 5, -80, -60), (("REL_STOP_RATIO", 1.514),))).max() == 500, "1 % is the same"


def test_an_unknown_conversion_or_target_is_refused_and_changes_nothing():
    ct = phantom()
    draft = staged(structure((-5, 5, -80, -60), PMMA), ct=ct, engine=lambda hu: np.full(hu.shape, np.nan))
    (one,) = draft.problems
    assert "conversion from HU is not known; the engine takes an unknown one" in str(one)
    np.testing.assert_array_equal(draft.ct.hu, ct.hu)
    (two,) = problems(structure((-5, 5, -80, -60), (("ELEM_FRACTION", 0.0),)))
    assert "ELEM_FRACTION gives an unknown stopping ratio, its properties do not determine" in str(two)
    (three,) = problems(structure((40, 60, -80, -60), PMMA, doubt="its contours are not axial"))
    assert "its contours are not axial, so its position is unknown" in str(three)


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
def test_what_cannot_be_written_is_refused_only_in_a_beams_path(area, hit):
    assert bool(problems(structure(area, TOO_DENSE))) is hit


def test_what_cannot_be_written_and_changes_nothing_is_left_as_scanned():
    ct = phantom()
    draft = staged(structure((40, 60, -80, -60), TOO_DENSE), ct=ct)
    np.testing.assert_array_equal(draft.ct.hu, ct.hu)
    (note,) = checks(draft)
    assert not note.review
    assert "the CT was left as it is: no beam passes a voxel where it matters" in note.note


def test_any_beam_counts_and_is_named():
    beside = structure((60, 80, -10, 10), TOO_DENSE)
    assert problems(beside) == ()
    (one,) = problems(beside, beams=(shot(), shot(90.0, number=7)))
    assert "in the path of beam 7" in str(one)


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
    assert bool(problems(structure((x0, x1, y0, y1), TOO_DENSE), beams=(one,), ct=water)) is hit


def test_energy_and_what_is_before_decide_how_deep_is_too_deep():
    deep = structure((-5, 5, 40, 60), TOO_DENSE)
    assert problems(deep, beams=(shot(energy=150.0),))
    lighter = phantom()
    lighter.hu[:, 20:50, 28:33] = -700  # a channel of lung on the axis
    assert problems(deep, ct=lighter)
    channel = structure((-20, 20, -100, 20), (("REL_STOP_RATIO", 0.3),), number=2)
    assert problems(deep, channel), "a channel that is drawn is as light as one that was scanned"


def test_a_line_passes_what_is_between_its_ends():
    class Scanning(Models):
        def machine(self, _beam):
            return MachineModel((2000.0, 2500.0), spot_sigma=lambda _energy: 5.0)

    line = replace(layer(100.0, (0.0, 1.0), ((-80.0, 0.0), (80.0, 0.0))), kind=LayerKind.LINES)
    draft = Draft(plan(replace(shot(), layers=(line,))), phantom(), None)
    rois = (structure((-5, 5, -80, -60), TOO_DENSE),)
    draft = replace(draft, structures=StructureSet("1.2.4", ("FRAME",), (), ("1.2.6",), rois, "RS.dcm"))
    for stage in STAGES:
        draft = stage(draft, Scanning(), PreparationOptions())
    assert any("in the path of beam 1" in str(one) for one in draft.problems)


def test_a_structure_without_a_volume_has_no_voxel():
    ct = phantom()
    for one in (Roi(1, "point", "MARKER", PMMA, ()), structure((-0.4, 0.4, -80.4, -79.6), PMMA)):
        draft = staged(one, ct=ct)
        np.testing.assert_array_equal(draft.ct.hu, ct.hu)
        assert draft.problems == ()
        assert "no voxel of it" in checks(draft)[0].note


def test_external_yields_to_any_other_structure():
    block = structure((-91, 91, -91.5, -61.5), PMMA, number=2)
    outer = structure(WHOLE, WATER, kind="EXTERNAL", number=3)
    for order in ((outer, block), (block, outer)):
        hu = computed(*order, ct=phantom(20.0))
        assert (at(hu, 0, -75, 0), at(hu, 0, -45, 0)) == (160, 0)


def test_external_yields_to_what_cannot_be_written_too():
    metal = structure((40, 60, -80, -60), TOO_DENSE, number=2)
    ct = phantom(20.0)
    ct.hu[:, 23:31, 43:51] = 3000
    assert at(computed(structure(WHOLE, WATER, kind="EXTERNAL"), metal, ct=ct), 51, -69, 0) == 3000


def test_two_structures_that_contradict_each_other_are_refused_by_name_until_the_site_says_which_counts():
    one = structure((-20, 20, -80, -60), PMMA, number=4, name="Hip")
    other = structure((-20, 20, -70, -50), WATER, number=2, name="Gel")
    (problem,) = problems(one, other)
    assert "structure 2 (Gel) overrides" in str(problem)
    assert "structure 4 (Hip) overlaps it with a ratio of 1.160 in the path of beam 1, at " in str(problem)
    assert "preparation.overlaps" in problem.advice
    assert at(computed(one, other, overlaps=("H*", "Gel")), 0, -66, 0) == 160
    assert at(computed(one, other, overlaps=("Gel",)), 0, -66, 0) == 0
    assert problems(one, other, overlaps=("*",)), "both are equally important"


def test_structures_that_agree_or_are_in_no_path_may_overlap():
    like = structure((-20, 20, -70, -50), (("REL_STOP_RATIO", 1.165),), number=2)
    assert problems(structure((-20, 20, -80, -60), PMMA), like) == ()
    beside = structure((50, 70, -80, -60), PMMA), structure((50, 70, -70, -50), WATER, number=2)
    assert problems(*beside) == ()


BOLUS = (-30.0, 30.0, -130.0, -100.0)


def test_a_bolus_that_all_beams_name_is_in_the_ct():
    bolus = structure(BOLUS, PMMA, kind="BOLUS", number=5)
    assert at(computed(bolus, beams=(shot(boli=(5,)),)), 0, -120, 0) == 160
    both = (shot(boli=(5,)), shot(20.0, number=2, boli=(5,)))
    assert at(computed(bolus, beams=both), 0, -120, 0) == 160


def test_a_bolus_of_one_beam_is_in_the_ct_if_no_other_passes_it():
    bolus = structure(BOLUS, PMMA, kind="BOLUS", number=5)
    from_behind = shot(180.0, number=2)
    assert at(computed(bolus, beams=(shot(boli=(5,)), from_behind)), 0, -120, 0) == 160
    (one,) = problems(bolus, beams=(shot(boli=(5,)), shot(20.0, number=2)))
    assert "structure 5 (canary)" in str(one)
    assert "of beam 1 alone names it; the engine takes 0.000 from the CT in the path of beam 2" in str(one)


def test_a_bolus_that_no_beam_names_is_refused_where_it_would_matter():
    (one,) = problems(structure(BOLUS, PMMA, kind="BOLUS", number=5))
    assert "no beam names it in ReferencedBolusSequence (300C,00B0)" in str(one)
    ct = phantom()
    draft = staged(structure((50, 80, -130, -100), PMMA, kind="BOLUS", number=5), ct=ct)
    assert draft.problems == ()
    np.testing.assert_array_equal(draft.ct.hu, ct.hu)


@pytest.mark.parametrize(
    ("rois", "says"),
    [
        ((), "structure 5, which has no density"),
        ((structure(BOLUS, (), kind="BOLUS", number=5),), r"structure 5 \(canary\), which has no density"),
        ((structure(BOLUS, (("EFFECTIVE_Z", 7.0),), kind="BOLUS", number=5),), "which has no density"),
        ((Roi(5, "canary", "BOLUS", PMMA, ()),), "which has no contours"),
    ],
)
def test_a_bolus_without_density_or_contours_is_refused_by_its_beam(rois, says):
    (one,) = problems(*rois, beams=(shot(boli=(5,)),))
    assert str(one).startswith("beam 1 (canary): needs a bolus, ") or "beam 1 (canary)" in str(one)
    assert __import__("re").search(says, str(one))


def test_a_bolus_that_names_no_structure_or_without_a_structure_set_is_refused():
    unnamed = replace(shot(boli=(5,)), boli=())
    (one,) = problems(beams=(unnamed,))
    assert "does not name its structure" in str(one)
    draft = override_densities(Draft(plan(shot(boli=(5,))), phantom(), None), Models(), PreparationOptions())
    assert len(draft.problems) == 1


def test_a_couch_that_a_beam_passes_outside_of_the_ct_is_refused():
    couch = structure((-60.0, 60.0, 140.0, 170.0), PMMA, kind="SUPPORT", number=6)
    assert problems(couch) == (), "the beam from above ends before it"
    (one,) = problems(couch, beams=(shot(180.0),))
    assert "structure 6 (canary)" in str(one)
    assert "beam 1 passes a part of it outside of the CT" in str(one)


def test_a_couch_that_is_longer_and_wider_than_the_ct_is_computed_where_no_beam_passes_the_rest():
    couch = structure((-300.0, 300.0, 120.0, 140.0), PMMA, kind="SUPPORT", number=6, z=(-600.0, 600.0))
    hu = computed(couch, beams=(shot(180.0),))
    assert (hu[:, round(270 / 3 + 3)] == 160).all()
    short = structure((-60.0, 60.0, 120.0, 140.0), PMMA, kind="SUPPORT", number=6, z=(-30.0, 30.0))
    (note,) = checks(staged(short, beams=(shot(180.0),)))
    assert "it is drawn from z = -30 to 30 mm of the CT's -45 to 45 mm" in note.note


def test_a_couch_that_is_drawn_on_few_slices_is_filled_between_them_and_that_is_reported():
    couch = structure((-60.0, 60.0, 120.0, 140.0), PMMA, kind="SUPPORT", z=(-45.0, 45.0), step=30.0)
    draft = staged(couch, beams=(shot(180.0),))
    assert (draft.ct.hu[:, round((129 + 150) / 3), 30] == 160).all()
    assert "up to 30 mm apart, and slices between them have the voxels of both" in checks(draft)[0].note


def test_the_check_has_properties_target_own_ratio_and_water_changed():
    (one,) = checks(staged(structure((-60, 60, -90, -60), PMMA, kind="SUPPORT", number=4), ct=phantom(10.0)))
    assert (one.name, one.scope, one.unit, one.review) == ("overrides", "structure 4 (SUPPORT)", "mm", True)
    assert one.value == pytest.approx(30 * 0.15, abs=0.5)
    assert "canary" not in one.note + one.scope
    for words in ("stopping ratio 1.16", "target ratio 1.160", "160 HU (stopping ratio 1.160)", "mean ratio of 1.010"):
        assert words in one.note
    assert "water on a ray of beam 1 changes by +4.5 mm; confirm it" in one.note


def test_a_structure_that_the_site_expects_or_that_changes_little_is_a_note():
    block = structure((-60, 60, -90, -60), PMMA, name="Couch 3")
    (one,) = checks(staged(block, expected_overrides=("Couch*",)))
    assert not one.review
    assert one.value == pytest.approx(4.8, abs=0.5)
    (two,) = checks(staged(structure((-60, 60, -90, -81), PMMA)))
    assert not two.review
    (three,) = checks(staged(structure((-60, 60, 60, 120), PMMA)))
    assert (three.value, three.review) == (0.0, False), "behind the range nothing changes"


def test_what_was_assumed_of_a_density_is_reported():
    (one,) = checks(staged(structure((-5, 5, -80, -75), (("REL_MASS_DENSITY", 1.1),))))
    assert "its mass density is taken as stopping power" in one.note
    (two,) = checks(staged(structure((-5, 5, -80, -75), (("REL_ELEC_DENSITY", 1.1),))))
    assert "electron density is taken as stopping power" in two.note


@pytest.mark.parametrize("kind", ["Quillfeather", ""])
def test_a_kind_that_is_not_dicoms_is_not_in_the_verdict(kind):
    (one,) = checks(staged(structure((-5, 5, -80, -75), (("Zanzibrook", 1.0), *PMMA), kind=kind)))
    assert one.scope == "structure 1"
    assert "Zanzibrook" not in one.note


def test_a_case_that_waits_for_a_machine_or_a_scanner_is_left_alone():
    class Unknown(Models):
        def machine(self, _beam):
            return None

    given = StructureSet("1.2.4", ("FRAME",), (), ("1.2.6",), (structure(WHOLE, TOO_DENSE),), "RS.dcm")
    ct = phantom()
    draft = override_densities(Draft(plan(shot()), ct, given), Unknown(), PreparationOptions())
    assert draft.ct is ct
    assert draft.problems == ()


def test_a_large_ct_takes_seconds():
    grid = Grid((60, 512, 512), (-250.0, -250.0, -180.0), (0.977, 0.977, 6.0))
    ct = CTVolume(grid, np.zeros(grid.shape, dtype=np.float32), "FRAME", "1.2.5", ("1.2.6",), SCANNER)
    spots = np.random.default_rng(1).uniform(-100, 100, (8000, 2))
    wide = [
        beam(number=n, gantry_angle=g, isocenter=(0.0, 0.0, 0.0), layers=(layer(150.0, np.ones(8000), spots),))
        for n, g in ((1, 0.0), (2, 45.0), (3, 300.0))
    ]
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    corners = 249 * np.column_stack([np.cos(turns), np.sin(turns)])
    contours = tuple((z, corners) for z in grid.axes()[0].tolist())
    rois = (Roi(1, "", "EXTERNAL", PMMA, contours), Roi(2, "", "SUPPORT", (), ()), Roi(3, "", "ORGAN", WATER, contours))
    begun = time.process_time()
    draft = staged(*rois, ct=ct, beams=wide, outside_body={"canary": "air"})
    assert time.process_time() - begun < 15.0
    assert draft.problems == ()
    assert (draft.ct.hu[30, 256, 256], draft.ct.hu[30, 0, 0]) == (0, -1000)


@pytest.mark.parametrize("where", [(1e9, 0.0, 0.0), (0.0, -1e300, 0.0)])
def test_an_isocentre_far_from_the_ct_is_left_to_the_engine_and_costs_nothing(where):
    """Its rays would be followed for a thousand kilometres."""
    began = time.monotonic()
    assert problems(structure(WHOLE, PMMA), beams=(shot(isocenter=where),)) == ()
    assert time.monotonic() - began < 5


def test_a_spot_far_from_the_isocentre_is_left_to_the_engine_and_costs_nothing():
    one = layer(100.0, (1.0, 1.0), ((0.0, 0.0), (1e9, 0.0)))
    began = time.monotonic()
    assert problems(structure(WHOLE, PMMA), beams=(replace(shot(), layers=(one,)),)) == ()
    assert time.monotonic() - began < 5


def test_an_infinite_ratio_is_no_ratio():
    """Every ratio is the same as an infinite one to 1 %."""
    (found,) = problems(structure(WHOLE, (("REL_STOP_RATIO", float("inf")),)))
    assert "its properties do not determine a stopping ratio" in str(found)


def test_a_ct_that_is_not_finite_is_left_to_the_engine():
    ct = phantom()
    ct.hu[3, 40, 30] = np.nan
    assert problems(structure(WHOLE, PMMA), ct=ct) == ()


def test_absurdly_many_structures_with_a_density_are_refused():
    many = [structure((-10, 10, 0, 10), PMMA, number=n, z=(0.0, 0.0)) for n in range(1, 1002)]
    (problem,) = problems(*many)
    assert "1001 structures override the density" in str(problem.found)
    assert problem.expected == "at most 1000"
