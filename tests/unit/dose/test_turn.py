"""A patient in any position is computed as the same object in the room, and its dose returns to the patient system."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.beamdata import TABLE
from tests.standin.small import machine, moqui
from tests.unit.dose.test_mcsquare_engine import SIGNED
from tests.unit.dose.test_mcsquare_engine import engine as mcsquare
from tests.written import POSITIONS, InRoom, Patient, patient_in_room

from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.positions import POSITIONS as AXES
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Medium
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.dose.engine import PreparedCase
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve
from mqi_communicator.dose.moqui.basis import Calibration
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import prepare, refusals
from mqi_communicator.dose.rays import beam_axes, gantry_axes
from mqi_communicator.results.geometry import direction

MEANING = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)
PHANTOM = Patient(
    np.random.default_rng(7).permutation(np.arange(-600, -600 + 4 * 5 * 7)).reshape(4, 5, 7),
    (-7.3, 21.9, -33.7),
    (1.1, 1.1, 1.7),
)
HOT = replace(PHANTOM, values=PHANTOM.values + 601)
ISOCENTER = (-4.2, 23.1, -30.9)
OPTIONS = PreparationOptions()
ENGINES = ["mcsquare", "upstream", "fork", "clinic"]


def engine_of(name, scanner):
    if name == "mcsquare":
        curve = parse_curve(b"-1000 0\r\n0 1\r\n", b"-1000 13\n0 17\n", SIGNED)
        return mcsquare({"MQI-DEMO": parse_beam_model(TABLE, SIGNED)}, {scanner: curve})
    return moqui({"MQI-DEMO": machine(name)}, {scanner: Calibration("default", SIGNED)}, flavour=name)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The plan and the CT of a position, written once."""

    @cache
    def of(position):
        folder, room = tmp_path_factory.mktemp(position), InRoom(PHANTOM, ISOCENTER, position)
        return sound_plan(room.plan(folder / "RP.dcm")), read_ct(room.ct(folder / "CT"))

    return of


@pytest.fixture
def case_of(written):
    def of(plan_says, ct_says):
        """A plan and a CT that give these words as PatientPosition; the images are those of HFS."""
        plan, ct = written("HFS")
        words = plan_says if isinstance(plan_says, tuple) else (plan_says, plan_says)
        beams = tuple(replace(one, position=word) for one, word in zip(plan.beams, words, strict=True))
        return replace(plan, beams=beams), replace(ct, position=ct_says)

    return of


def of_position(prepared):
    return tuple(one for one in prepared.cautions if one.name == "patient_position")


@pytest.mark.parametrize("position", POSITIONS)
def test_the_table_follows_from_the_words_of_the_standard(position):
    in_room = patient_in_room(position)
    assert np.linalg.det(in_room) == pytest.approx(1), "a rotation, no mirror"
    for unit in np.eye(3):
        np.testing.assert_array_equal(AXES[position].point(tuple(unit)), in_room @ unit)
        np.testing.assert_array_equal(AXES[position].inverse.point(tuple(in_room @ unit)), unit)


def test_the_eight_positions_differ():
    assert len(set(AXES.values())) == len(POSITIONS) == 8
    assert set(AXES) == set(POSITIONS)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("position", POSITIONS)
def test_an_engine_gets_the_same_bytes_as_for_the_same_object_head_first_supine(position, name, written):
    plan, ct = written("HFS")
    engine = engine_of(name, ct.scanner)
    expected = engine.case(PreparedCase(plan, ct)).files()
    plan, ct = written(position)
    assert ct.position == position
    assert {beam.position for beam in plan.beams} == {position}
    prepared = prepare(plan, ct, None, engine, OPTIONS)
    assert prepared.problems == of_position(prepared) == ()
    assert refusals(engine, OPTIONS, plan, ct, None) == ()
    assert engine.case(prepared.case).files() == expected


@pytest.mark.parametrize("position", POSITIONS)
def test_voxels_are_equal_and_a_dose_returns_to_its_place_in_the_patient(position, tmp_path, written):
    plan, ct = written(position)
    prepared = prepare(plan, ct, None, engine_of("mcsquare", ct.scanner), OPTIONS)
    np.testing.assert_array_equal(prepared.case.ct.hu, PHANTOM.values)
    gy = (HOT.values * 0.001).astype(np.float32)  # of the engine, in its own order
    back = prepared.back(Dose(prepared.case.ct.grid, gy, MEANING, 1, 0.02))
    planned = read_rtdose(InRoom(HOT, ISOCENTER, position).dose(tmp_path / "RD.dcm"), MEANING)
    assert back.grid == ct.grid == planned.grid
    np.testing.assert_array_equal(back.gy, planned.gy)
    assert (back.gy.flags.c_contiguous, back.gy.flags.writeable) == (True, False)
    assert (back.beam_number, back.uncertainty) == (1, 0.02)


def test_a_dose_on_another_grid_does_not_return(written):
    plan, ct = written("FFDL")
    prepared = prepare(plan, ct, None, engine_of("mcsquare", ct.scanner), OPTIONS)
    with pytest.raises(ValueError, match="not on the grid of the prepared CT"):
        prepared.back(Dose(ct.grid, ct.hu, MEANING, 1))


@pytest.mark.parametrize("position", POSITIONS)
def test_a_beam_is_directed_in_the_patient_system(position, written):
    """For the checks of overrides before plan and CT are turned, and for those of the dose that has returned."""
    plan, _ = written(position)
    for beam in plan.beams:
        in_room = np.array(gantry_axes(beam.gantry_angle, beam.couch_angle))
        np.testing.assert_allclose(beam_axes(beam), in_room @ patient_in_room(position), atol=1e-12)
        np.testing.assert_allclose(direction(beam), -in_room[2] @ patient_in_room(position), atol=1e-12)


@pytest.mark.parametrize(
    ("plan_says", "ct_says", "turned_as", "note"),
    [
        ("HFS", "HFS", "HFS", ""),
        ("", "HFP", "HFP", "the plan has no PatientPosition (0018,5100); the CT's is used: HFP"),
        ("FFS", "", "FFS", "the CT has no PatientPosition (0018,5100); the plan's is used: FFS"),
        (
            "HFDR",
            "HFS",
            "HFDR",
            "PatientPosition (0018,5100) is HFDR in the plan and HFS in the CT; the plan's is used",
        ),
        (("", "FFP"), "FFP", "FFP", "the plan has no PatientPosition (0018,5100); the CT's is used: FFP"),
    ],
)
def test_which_position_counts_and_what_a_physicist_confirms(plan_says, ct_says, turned_as, note, case_of):
    plan, ct = case_of(plan_says, ct_says)
    prepared = prepare(plan, ct, None, engine_of("mcsquare", ct.scanner), OPTIONS)
    assert prepared.problems == ()
    assert prepared.axes == AXES[turned_as]
    assert [(one.scope, one.review, one.note) for one in of_position(prepared)] == (
        [("plan", True, note)] if note else []
    )


@pytest.mark.parametrize(
    ("plan_says", "ct_says", "words"),
    [
        ("", "", "neither the plan nor the CT has PatientPosition (0018,5100), expected HFS, HFP"),
        (
            ("HFS", "FFS"),
            "HFS",
            "is HFS for beam 1 (F1 anterior) and FFS for beam 2 (F2 left), expected one position for all beams",
        ),
        (("HFP", ""), "HFS", "is HFP for beam 1 (F1 anterior) and HFS for beam 2 (F2 left), expected one position"),
        ("SITTING", "HFS", "beam 1 (F1 anterior): PatientPosition (0018,5100) is SITTING, expected HFS, HFP"),
    ],
)
@pytest.mark.parametrize("name", ["mcsquare", "upstream"])
def test_a_position_that_is_not_known_is_refused_once_and_never_computed(plan_says, ct_says, words, name, case_of):
    plan, ct = case_of(plan_says, ct_says)
    engine = engine_of(name, ct.scanner)
    found = [str(one) for one in refusals(engine, OPTIONS, plan, ct, None)]
    assert sum(words in one for one in found) == 1, found
    assert not [one for one in found if "expected HFS (head first supine)" in one]
    prepared = prepare(plan, ct, None, engine, OPTIONS)
    assert prepared.axes == AXES["HFS"]
    with pytest.raises(DicomProblem, match="PatientPosition"):
        engine.case(prepared.case).files()


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_computes_nothing_that_was_not_turned(name, written):
    plan, ct = written("FFS")
    with pytest.raises(DicomProblem, match=r"is FFS, expected HFS \(head first supine\)"):
        engine_of(name, ct.scanner).case(PreparedCase(plan, ct)).files()
