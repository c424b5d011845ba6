"""Range shifters in MCsquare's input, and in its log, without which no dose counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.beamdata import TABLE
from tests.engine_files import beam_files, common_files
from tests.shifters import PMMA, setting, with_settings
from tests.unit.dose.test_mcsquare_engine import MHD, SIZES, after, beam, engine, layer, plan, text, volume

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.engine import Accepted, JobRequest, PreparedCase, Refused
from mqi_communicator.dose.mcsquare.range_shifters import SentShifter, with_shifters
from mqi_communicator.dose.mcsquare.tables import parse_beam_model

pytestmark = pytest.mark.pure

RS = setting(distance=200.0, wet=40.0)
LAYERS = tuple(layer(energy) for energy in (180.0, 170.0, 160.0, 150.0))
OWN_BLOCK = b"Range Shifter parameters\nRS_ID = RS0\t# of another nozzle\nRS_type = binary\nRS_WET = 99\n\n"


def known(text_of_model=TABLE, **shifters):
    model = parse_beam_model(text_of_model, Commissioning("Physics", "2026-01-31"))
    return {"G1": replace(model, shifters=shifters or {"RS": PMMA, "B": replace(PMMA, material=17, density=1.0)})}


def shifted(*settings, **changes):
    return with_settings(beam(**{"layers": LAYERS, "final_cumulative_weight": 16.0, **changes}), *settings)


def lines_of(*settings):
    given = shifted(*settings)
    return text(beam_files(engine(known()), plan(given), given, volume()), "plan.txt")


def test_every_control_point_says_it_again_after_its_index_and_before_its_spots():
    lines = lines_of((RS,))
    assert after(lines, "###RangeShifterID") == ["RS0"]
    assert after(lines, "###RangeShifterType") == ["binary"]
    assert lines.index("###RangeShifterID") < lines.index("###NumberOfControlPoints")
    points = "\n".join(lines).split("####ControlPointIndex")[1:]
    assert len(points) == 4
    for point in points:
        own = point.split("####X Y Weight")[0].splitlines()
        assert after(own, "####RangeShifterSetting") == ["IN"]
        assert after(own, "####IsocenterToRangeShifterDistance") == ["200"]
        assert after(own, "####RangeShifterWaterEquivalentThickness") == ["40"]


def test_open_layers_are_a_field_of_their_own_without_any_such_line():
    lines = lines_of((), (RS,), (RS,), ())
    assert after(lines, "##NumberOfFields") == ["2"]
    assert after(lines, "###FieldsID") == ["1", "2"]
    assert after(lines, "###FieldID") == ["1", "2"]
    open_field, shifted_field = "\n".join(lines).split("#FIELD-DESCRIPTION")[1:]
    assert "RangeShifter" not in open_field
    assert after(open_field.splitlines(), "####Energy (MeV)") == ["180", "150"]
    assert after(shifted_field.splitlines(), "###RangeShifterID") == ["RS1"]
    assert after(shifted_field.splitlines(), "####Energy (MeV)") == ["170", "160"]
    assert after(lines, "###FinalCumulativeMeterSetWeight") == ["25", "25"]
    assert after(lines, "#TotalMetersetWeightOfAllFields") == ["50"]
    assert after(lines, "###GantryAngle") == ["90", "90"]
    assert after(lines, "####CumulativeMetersetWeight") == ["12.5", "25", "12.5", "25"]


def test_two_range_shifters_and_two_positions_are_three_fields():
    lines = lines_of((RS,), (setting(distance=250.0),), (setting("B", wet=57.0),), (RS,))
    assert after(lines, "###RangeShifterID") == ["RS0", "RS1", "RS2"]
    assert after(lines, "####IsocenterToRangeShifterDistance") == ["200", "200", "250", "200"]
    assert after(lines, "####RangeShifterWaterEquivalentThickness") == ["40", "40", "40", "57"]


def test_a_plan_of_open_beams_is_sent_as_before():
    given = beam()
    files = common_files(engine(known()), plan(given), volume())
    assert [data for name, data in files.items() if name.startswith("model-")] == [TABLE.replace(b"\r\n", b"\n")]
    assert "RangeShifter" not in "\n".join(text(beam_files(engine(), plan(given), given, volume()), "plan.txt"))


def test_the_librarys_own_range_shifters_are_replaced():
    with_own = TABLE.replace(b"\r\n", b"\n").replace(b"Beam parameters", OWN_BLOCK + b"Beam parameters")
    given = shifted((RS,), (setting("B"),))
    files = common_files(engine(known(with_own)), plan(given), volume())
    (model,) = [data.decode() for name, data in files.items() if name.startswith("model-")]
    assert "99" not in model
    assert model.startswith(TABLE.decode().replace("\r\n", "\n").rstrip("\n").split("Beam parameters")[0])
    assert model.split("\n\nRange Shifter parameters\n")[1:] == [
        "RS_ID = RS0\nRS_type = binary\nRS_material = 64\nRS_density = 1.2\nRS_WET = 40",
        "RS_ID = RS1\nRS_type = binary\nRS_material = 17\nRS_density = 1\nRS_WET = 40\n\n",
    ]


def test_each_beam_names_a_library_with_its_own_range_shifters():
    plain, other = beam(number=1), shifted((RS,), number=2)
    files = engine(known()).case(PreparedCase(plan(plain, other), volume())).files()
    models = [
        line.split()[1].removeprefix("../../input/")
        for number in (1, 2)
        for line in files[f"beam-{number}/config.txt"].decode().splitlines()
        if line.startswith("BDL_Machine_Parameter_File")
    ]
    assert [b"Range Shifter" in files[name] for name in models] == [False, True]


def refusals(*settings, **changes):
    return [str(one) for one in engine(known()).refusals(PreparedCase(plan(shifted(*settings, **changes)), volume()))]


def test_two_at_once_are_refused_since_the_engine_takes_the_last():
    (found,) = refusals((RS, setting("B")))
    assert "layer 1 has RS and B in the beam at once, expected one range shifter" in found


@pytest.mark.parametrize(("energy", "refused"), [(100.0, True), (105.0, True), (110.0, False)])
def test_a_layer_that_ends_in_the_range_shifter_or_just_behind_it_is_refused(energy, refused):
    """Mean energies of 100.5, 105.5 and 110.5 MeV reach 77.0, 83.9 and 91.0 mm of water."""
    found = refusals((setting(wet=80.0),), layers=(layer(energy), *LAYERS[:3]))
    assert bool(found) is refused, found
    assert all(f"protons of {energy:g} MeV reach" in one and "expected more than 5 mm" in one for one in found)


@pytest.mark.parametrize(
    "one",
    [setting("ANOTHER"), setting(word="OUT"), setting(distance=-61.5), setting(distance=None), setting(wet=0.0)],
)
def test_what_preparation_did_not_settle_is_refused_too(one):
    (found,) = refusals((one,))
    assert "is not prepared" in found


def test_one_that_nobody_commissioned_gives_no_verdict():
    models = known(RS=replace(PMMA, commissioning=Commissioning()), B=replace(PMMA, commissioning=Commissioning()))
    basis = engine(models).case(PreparedCase(plan(shifted((RS,))), volume())).basis()
    assert basis == ("range shifter 'RS' of machine 'G1' has no commissioned_by and commissioned_on",)
    assert engine(models).case(PreparedCase(plan(shifted(())), volume())).basis() == ()
    assert engine(known()).case(PreparedCase(plan(shifted((RS,))), volume())).basis() == ()


def test_the_recipe_and_the_evidence_name_it():
    recipe = engine(known()).recipe()
    assert recipe["range_shifter/G1/RS"] == (
        "WET 40 mm, material 64, density 1.2 g/cm3, distance plan, travel 50 to 400 mm, HOME: OUT, POSITION1: IN"
    )
    assert engine(known()).evidence()["range_shifter/G1/RS"].endswith("commissioned by Physics on 2026-01-31")
    changed = engine(known(RS=replace(PMMA, distance="snout + 43"))).recipe()
    assert changed["range_shifter/G1/RS"] != recipe["range_shifter/G1/RS"]


HEAD = """\
Range shifter initialized for beam 0:
\tRange shifter ID: RS0
\ttype: binary
\tMaterial: PMMA (ID 64)
\tDensity: 1.20 g/cm3
\tEnabled for all layers
\tStatic position: 20.00 cm from isocenter
\tStatic thickness: 3.38 cm (WET=4.00)

"""
OPEN = """Initialization time: 0.218024 s


Simulation started (2026-01-01 00:00:00)
 100.0 % (stat uncertainty: 2.11 %)

Nbr primaries simulated: 100000 (60 generated outside the geometry)
MC computation time: 1.123382 s
Output computation time: 0.001349 s

Total computation time: 1.247639 s

"""
GIVEN = shifted((RS,))
OTHER = shifted((setting(distance=99.0),), number=4)
EXPECTED = common_files(engine(known()), plan(GIVEN, OTHER), volume())["expected.txt"].decode()
LOG = HEAD + OPEN + EXPECTED


def judged(log):
    return engine().job(JobRequest(3)).judge(0, log, SIZES)


def read(log, given=GIVEN):
    case = engine(known()).case(PreparedCase(plan(given), volume()))
    raw = b"\0\0\x80\x3f" * 24
    return case.read_dose(3, {"Outputs/Dose.mhd": MHD, "Outputs/Dose.raw": raw}, log)


def test_a_log_that_describes_what_was_sent_is_accepted():
    assert isinstance(judged(LOG), Accepted), judged(LOG)
    assert read(LOG).gy.min() > 0


WRONG = {
    "disabled": (LOG.replace("Enabled", "Disabled"), "'Disabled for all layers', expected 'Enabled for all layers'"),
    "mixed": (LOG.replace("\tEnabled for all layers\n", ""), "expected 'Enabled for all layers'"),
    "position": (LOG.replace("20.00 cm", "40.00 cm"), "distance 40.00, expected 20.00 cm"),
    "no position": (LOG.replace("\tStatic position: 20.00 cm from isocenter\n", ""), "distance missing"),
    "thickness": (LOG.replace("WET=4.00", "WET=3.98"), "wet 3.98, expected 4.00 cm"),
    "no thickness": (LOG.replace("WET=4.00", "WET=nan"), "wet nan, expected 4.00 cm"),
    "density": (LOG.replace("1.20 g", "1.00 g"), "density 1.00, expected 1.20 g/cm3"),
    "material": (LOG.replace("ID 64", "ID 17"), "material 17, expected material 64"),
    "another": (LOG.replace("ID: RS0", "ID: RS_Block"), "ID RS_Block"),
    "missing": (OPEN + EXPECTED, "does not mention range shifter RS0 of field 0"),
    "of another field": (LOG.replace("for beam 0", "for beam 1"), "does not mention range shifter RS0 of field 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_log_that_describes_something_else_is_refused_for_good(name):
    log, words = WRONG[name]
    refused = judged(log)
    assert isinstance(refused, Refused)
    assert words in refused.why
    assert not refused.retryable
    with pytest.raises(Permanent) as caught:
        read(log)
    assert words in caught.value.reason


def test_a_range_shifter_that_was_not_sent_is_refused():
    alone = EXPECTED.splitlines()[0] + "\n"
    refused = judged(HEAD + OPEN + alone)
    assert isinstance(refused, Refused)
    assert "describes a range shifter of field 0, and none was sent" in refused.why
    assert isinstance(judged(OPEN + alone), Accepted)
    with pytest.raises(Permanent, match="none was sent"):
        read(HEAD + OPEN, shifted(()))


@pytest.mark.parametrize(
    "line", [' Error: "in" is not a valid value for RangeShifterSetting in "plan.txt"', "ERROR: x"]
)
def test_any_error_line_fails_the_beam_with_exit_code_0(line):
    refused = judged(line + "\n\n" + LOG)
    assert isinstance(refused, Refused)
    assert line.strip() in refused.why
    assert not refused.retryable


def test_an_excerpt_of_a_log_is_refused_for_what_it_shows_and_not_for_what_it_leaves_out():
    cut = "\nmqi-cut 100000\n 100.0 % (stat uncertainty: 2.11 %)\n"
    tail = OPEN.split("2.11 %)\n", 1)[1] + EXPECTED
    head = HEAD + OPEN.split("\n\n\n", maxsplit=1)[0] + "\n"
    assert isinstance(judged(head + cut + tail), Accepted)
    assert isinstance(judged(HEAD[:60] + cut + tail), Accepted)  # the head was cut: the whole log is judged later
    for wrong in (head.replace("Enabled", "Disabled"), head.replace(HEAD, "")):
        assert isinstance(judged(wrong + cut + tail), Refused)


def test_a_library_without_range_shifters_in_the_beam_is_unchanged():
    assert with_shifters(b"x\nRS_ID = A\n", ()) == b"x\nRS_ID = A\n"
    assert b"RS_ID = A" not in with_shifters(b"x\nRS_ID = A\n", [SentShifter(0, "RS0", 64, 1.2, 200.0, 40.0)])
