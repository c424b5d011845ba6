"""A plan is described as it is; what an engine cannot compute of it follows from one table."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.written import FILES

from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dose.abilities import (
    APERTURES,
    FEATURES,
    MCSQUARE,
    RANGE_SHIFTERS,
    TABLE,
    abilities_of,
    markdown,
    scan_mode,
)
from mqi_communicator.dose.moqui.flavours import BUILT_IN

BYTES = FILES["RP.dcm"]


@pytest.fixture
def plan():
    return pydicom.dcmread(io.BytesIO(BYTES))


@pytest.fixture
def read(tmp_path, plan):
    def save_and_read():
        plan.save_as(tmp_path / "RP.dcm")
        got, problems = read_plan(tmp_path / "RP.dcm")
        assert problems == ()
        return got

    return save_and_read


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def first(plan):
    return plan.IonBeamSequence[0]


def points(plan):
    return first(plan).IonControlPointSequence


def beam_value(keyword, value):
    return lambda plan: setattr(first(plan), keyword, value)


def point_value(index, keyword, value):
    return lambda plan: setattr(points(plan)[index], keyword, value)


def device(sequence):
    return lambda plan: setattr(first(plan), sequence, Sequence([Dataset()]))


def modulated_spec(kind):
    def spoil(plan):
        first(plan).ScanMode, first(plan).ModulatedScanModeType = "MODULATED_SPEC", kind

    return spoil


def shifter(*settings, wet=34.3):
    """A range shifter with these settings at the first control points."""

    def put(plan):
        first(plan).NumberOfRangeShifters = 1
        first(plan).RangeShifterSequence = [
            item(RangeShifterNumber=0, RangeShifterID="RS_3CM", RangeShifterType="BINARY")
        ]
        for point, setting in zip(points(plan), settings, strict=False):
            output = item(ReferencedRangeShifterNumber=0, RangeShifterSetting=setting)
            output.RangeShifterWaterEquivalentThickness = wet
            point.RangeShifterSettingsSequence = [output]

    return put


def magnets(kind="MAGNET", wet=0.0, mode="MODULATED"):
    """Two lateral spreading devices, as planning systems write scanning magnets."""

    def put(plan):
        first(plan).ScanMode = mode
        first(plan).NumberOfLateralSpreadingDevices = 2
        first(plan).LateralSpreadingDeviceSequence = [
            item(LateralSpreadingDeviceNumber=n, LateralSpreadingDeviceID=name, LateralSpreadingDeviceType=kind)
            for n, name in ((1, "MagnetX"), (2, "MagnetY"))
        ]
        points(plan)[0].LateralSpreadingDeviceSettingsSequence = [
            item(
                LateralSpreadingDeviceWaterEquivalentThickness=wet,
                LateralSpreadingDeviceSetting="IN",
                IsocenterToLateralSpreadingDeviceDistance=distance,
                ReferencedLateralSpreadingDeviceNumber=n,
            )
            for n, distance in ((1, 2000.0), (2, 2560.0))
        ]

    return put


def positioned(word):
    def put(plan):
        for setup in plan.PatientSetupSequence:
            setup.PatientPosition = word

    return put


def blocks(*kinds):
    def put(plan):
        first(plan).NumberOfBlocks = len(kinds)
        first(plan).IonBlockSequence = [
            item(
                BlockType=kind,
                BlockMountingPosition="PATIENT_SIDE",
                IsocenterToBlockTrayDistance=300.0,
                BlockThickness=65.0,
                BlockNumberOfPoints=3,
                BlockData=[-30.0, -30.0, 30.0, -30.0, 0.0, 30.0],
            )
            for kind in kinds
        ]

    return put


def line_scanning(plan):
    """Each spot becomes a line without a length, in the private elements of line scanning."""
    private_spots(plan)
    first(plan).ScanMode = "LINE"


def linear(plan):
    """Each spot becomes a line without a length."""
    modulated_spec("LINEAR")(plan)
    for point in points(plan):
        point.ScanSpotPositionMap, point.ScanSpotMetersetWeights = as_lines(point)
        point.NumberOfScanSpotPositions = len(point.ScanSpotMetersetWeights)


def private_spots(plan):
    """The same in a manufacturer's private elements alone."""
    for point in points(plan):
        places, weights = as_lines(point)
        for keyword in ("ScanSpotPositionMap", "ScanSpotMetersetWeights", "NumberOfScanSpotPositions"):
            delattr(point, keyword)
        block = point.private_block(0x300B, "IMPAC", create=True)
        block.add_new(0x94, "OB", np.array(places, "<f4").tobytes())
        block.add_new(0x96, "OB", np.array(weights, "<f4").tobytes())


def as_lines(point):
    """Positions and weights of lines without a length, one for each spot."""
    weights = np.atleast_1d(point.ScanSpotMetersetWeights).astype(float)
    places = np.reshape(point.ScanSpotPositionMap, (-1, 2)).astype(float)
    return np.repeat(places, 2, axis=0).ravel().tolist(), np.stack([0 * weights, weights], axis=1).ravel().tolist()


SHIFTER = "needs a range shifter, RangeShifterSequence (300A,0314): "
SPREADER = "needs a spreader, LateralSpreadingDeviceSequence (300A,0332): "

ACCEPTED = {
    "scanning magnets": magnets(),
    "MODULATED_SPEC STATIONARY": modulated_spec("STATIONARY"),
    "LINE": line_scanning,
    "LINEAR": linear,
    "a range shifter that is OUT": shifter("OUT"),
    "a range shifter that is OUT at every point": shifter(*["OUT"] * 40),
    "a setting of a shifter that is not listed, OUT": lambda plan: setattr(
        points(plan)[0],
        "RangeShifterSettingsSequence",
        [item(ReferencedRangeShifterNumber=0, RangeShifterSetting="OUT")],
    ),
    "empty pitch and roll": point_value(0, "TableTopPitchAngle", None),
    "no patient position": lambda plan: setattr(plan.PatientSetupSequence[0], "PatientPosition", ""),
}

REFUSED = {
    "photon": (beam_value("RadiationType", "PHOTON"), "RadiationType (300A,00C6) is PHOTON, expected PROTON"),
    "carbon": (beam_value("RadiationType", "ION"), "is ION, expected PROTON"),
    "spots in private elements": (private_spots, "is MODULATED with spots in private elements (300B,xx94)"),
    "UNIFORM": (beam_value("ScanMode", "UNIFORM"), "ScanMode (300A,0308) is UNIFORM"),
    "passive": (beam_value("ScanMode", "NONE"), "ScanMode (300A,0308) is NONE"),
    "LEAPING": (
        modulated_spec("LEAPING"),
        "is MODULATED_SPEC LEAPING, expected MODULATED, LINE, or MODULATED_SPEC STATIONARY or LINEAR",
    ),
    "SPEC without a type": (modulated_spec(None), "ScanMode (300A,0308) is MODULATED_SPEC,"),
    "no mode": (beam_value("ScanMode", ""), "ScanMode (300A,0308) is missing"),
    "continuation": (beam_value("TreatmentDeliveryType", "CONTINUATION"), "CONTINUATION, expected TREATMENT"),
    "no delivery type": (beam_value("TreatmentDeliveryType", ""), "is missing, expected TREATMENT"),
    "NP": (beam_value("PrimaryDosimeterUnit", "NP"), "is NP, expected MU"),
    "chair": (beam_value("PatientSupportType", "CHAIR"), "is CHAIR, expected TABLE"),
    "pitch": (point_value(0, "TableTopPitchAngle", 3), "TableTopPitchAngle (300A,0140) is 3 degrees"),
    "roll": (point_value(0, "TableTopRollAngle", 358), "TableTopRollAngle (300A,0144) is 358 degrees"),
    "gantry pitch": (point_value(0, "GantryPitchAngle", 1), "GantryPitchAngle (300A,014A) is 1 degrees"),
    "gantry moves": (point_value(2, "GantryAngle", 5), "changes from 0 to 5 degrees at control point 2"),
    "gantry turns": (point_value(0, "GantryRotationDirection", "CW"), "is CW, expected one value"),
    "couch moves": (point_value(2, "PatientSupportAngle", 5), "PatientSupportAngle (300A,0122) changes from"),
    "isocentre moves": (point_value(2, "IsocenterPosition", [0, 0, 99]), "IsocenterPosition (300A,012C)"),
    "shifter IN": (
        shifter("IN"),
        SHIFTER + "RS_3CM (BINARY) IN, water-equivalent thickness 34.3 mm",
    ),
    "shifter IN for some layers": (
        shifter("OUT", "OUT", "IN"),
        SHIFTER + "RS_3CM (BINARY) OUT and IN",
    ),
    "shifter in a word of the site": (
        shifter("POSITION1"),
        SHIFTER + "RS_3CM (BINARY) POSITION1",
    ),
    "shifter without a setting": (
        shifter(),
        SHIFTER + "RS_3CM (BINARY) without a setting",
    ),
    "shifter counted only": (
        beam_value("NumberOfRangeShifters", 1),
        SHIFTER + "unnamed",
    ),
    "shifter set, not listed": (
        lambda plan: setattr(
            points(plan)[0],
            "RangeShifterSettingsSequence",
            [item(ReferencedRangeShifterNumber=7, RangeShifterSetting="IN")],
        ),
        SHIFTER + "7 IN",
    ),
    "aperture": (blocks("APERTURE", "APERTURE"), "needs an aperture, IonBlockSequence (300A,03A6): 2 of them"),
    "shielding block": (blocks("SHIELDING"), "needs a shielding block, IonBlockSequence (300A,03A6): 1 of them"),
    "bolus": (beam_value("NumberOfBoli", 1), "needs a bolus"),
    "collimator": (device("IonBeamLimitingDeviceSequence"), "needs a collimator"),
    "compensator": (beam_value("NumberOfCompensators", 1), "needs a compensator"),
    "wedge": (device("IonWedgeSequence"), "needs a wedge"),
    "range modulator": (beam_value("NumberOfRangeModulators", 1), "needs a range modulator"),
    "scatterer": (
        magnets("SCATTERER"),
        SPREADER + "MagnetX (SCATTERER) IN",
    ),
    "magnets with a thickness": (magnets(wet=0.5), "water-equivalent thickness 0.5 mm"),
    "wobbling magnets": (
        magnets(mode="UNIFORM"),
        SPREADER + "MagnetX (MAGNET) IN",
    ),
    "spreader counted only": (beam_value("NumberOfLateralSpreadingDevices", 3), "needs a spreader"),
    "sitting": (positioned("SITTING"), "PatientPosition (0018,5100) is SITTING, expected HFS, HFP, FFS, FFP, HFDR"),
    "inclined": (positioned("HFX"), "PatientPosition (0018,5100) is HFX, expected HFS, HFP, FFS, FFP, HFDR"),
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("case", ACCEPTED)
def test_what_every_engine_computes(case, row, plan, read):
    ACCEPTED[case](plan)
    assert row.refusals(read()) == ()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("case", REFUSED)
def test_what_an_engine_cannot_compute_is_refused_by_name(case, row, plan, read):
    spoil, description = REFUSED[case]
    spoil(plan)
    problems = row.refusals(read())
    shifter_of_mcsquare = description.startswith(SHIFTER) and row is MCSQUARE
    if shifter_of_mcsquare or (case == "bolus" and row.flavour in ("", "upstream")):
        assert problems == ()
        return
    assert any(description in str(one) for one in problems), list(map(str, problems))
    assert all(one.where.startswith("beam ") and one.file == "RP.dcm" and one.tag and one.advice for one in problems)
    codes = {one.code for one in problems}
    assert codes <= {feature.code for feature in FEATURES}


def test_every_feature_that_no_engine_has_is_refused_by_some_case(plan, tmp_path):
    """Each row of the table that says no is seen to say it."""
    refused = set()
    for spoil, _words in REFUSED.values():
        changed = deepcopy(plan)
        spoil(changed)
        changed.save_as(tmp_path / "RP.dcm")
        (beam, *_) = read_plan(tmp_path / "RP.dcm")[0].beams
        refused |= {feature.name for feature in FEATURES if list(feature.needs(beam))}
    lacking = {feature.name for feature in FEATURES if all(feature.name not in row.features for row in TABLE)}
    assert lacking
    assert lacking <= refused


def test_all_reasons_are_given_at_once_beam_by_beam(plan, read):
    shifter("IN")(plan)
    magnets("SCATTERER")(plan)
    positioned("AFDR")(plan)
    first(plan).PrimaryDosimeterUnit = "NP"
    codes = [one.code for one in MCSQUARE.refusals(read())]
    assert codes[:3] == ["beam.unit", "beam.spreader", "beam.spreader"]
    assert codes[3:] == ["beam.position"] * len(plan.IonBeamSequence)


def test_there_is_a_row_for_every_built_in_flavour():
    assert {row.flavour for row in TABLE if row.engine == "moqui"} == set(BUILT_IN)
    assert abilities_of("mcsquare") is MCSQUARE


def test_private_elements_of_other_makers_and_beside_standard_spots_are_harmless(plan, read):
    for point in points(plan):
        block = point.private_block(0x300B, "IMPAC", create=True)
        block.add_new(0x17, "OB", b"x\xaf\xaaB")
    block = points(plan)[0].private_block(0x300B, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x96, "OB", b"\0\0\0\0")
    got = read()
    assert scan_mode(got.beams[0]) == "MODULATED"
    assert MCSQUARE.refusals(got) == ()


def test_a_shifter_that_is_in_later_and_said_nowhere_before_is_not_taken_for_out(plan, read):
    shifter("IN")(plan)
    points(plan)[2].RangeShifterSettingsSequence = points(plan)[0].RangeShifterSettingsSequence
    del points(plan)[0].RangeShifterSettingsSequence
    (device_,) = read().beams[0].devices
    assert device_.description.startswith("RS_3CM (BINARY) without a setting and IN")


def test_each_beam_has_the_position_of_its_own_setup(plan, read):
    plan.PatientSetupSequence = [
        item(PatientSetupNumber=1, PatientPosition="HFS"),
        item(PatientSetupNumber=2, PatientPosition="FFS"),
    ]
    for beam, number in zip(plan.IonBeamSequence, (1, 2), strict=True):
        beam.ReferencedPatientSetupNumber = number
    got = read()
    assert [beam.position for beam in got.beams] == ["HFS", "FFS"]
    for row in TABLE:
        (problem,) = row.refusals(got)
        assert str(problem) == (
            "RP.dcm: PatientPosition (0018,5100) is HFS for beam 1 (F1 anterior) and FFS for beam 2 (F2 left), "
            "expected one position for all beams"
        )


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP", "HFDR", "HFDL", "FFDR", "FFDL"])
def test_every_lying_position_is_computed(position, plan, read):
    positioned(position)(plan)
    assert [row.refusals(read()) for row in TABLE] == [()] * len(TABLE)


@pytest.mark.parametrize(
    ("spoil", "kind", "needed"),
    [
        (shifter("IN"), RANGE_SHIFTERS, "needs a range shifter"),
        (blocks("APERTURE"), APERTURES, "needs an aperture"),
    ],
)
def test_what_a_site_must_commission_is_refused_until_then_for_each_machine(spoil, kind, needed, plan, read):
    spoil(plan)
    got = read()
    machine = got.beams[0].machine
    row = abilities_of("moqui", "upstream")
    for commissioned in ((), ((machine, "other"),), (("other", kind),)):
        (problem,) = replace(row, commissioned=frozenset(commissioned)).refusals(got)
        assert needed in str(problem)
        assert f"under machines, {machine}, moqui, devices, {kind}." in problem.advice
    assert replace(row, commissioned=frozenset({(machine, kind)})).refusals(got) == ()
    assert "(where it is commissioned)" in row.description
    assert "refused until commissioned" in markdown()
