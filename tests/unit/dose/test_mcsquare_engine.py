"""The input of the engine, and how its log and products are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.beamdata import TABLE, table
from tests.engine_files import beam_files, common_files

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, Grid, IonPlan, Layer, Medium
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.engine import Accepted, DoseEngine, JobRequest, PreparedCase, Refused
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.engine import MCsquare
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.setup import Setup
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve

pytestmark = pytest.mark.pure

SIGNED = Commissioning("Physics", "2026-01-31")
GRID = Grid((4, 3, 2), (-10.0, 20.0, -30.0), (1.0, 2.0, 3.0))
LOG = """
Simulation started (2026-01-01 00:00:00)
 10.0 %
 50.0 % (stat uncertainty: 2.71 %)
 100.0 % (stat uncertainty: 2.11 %)

Nbr primaries simulated: 100000 (60 generated outside the geometry)
MC computation time: 1.123382 s
Output computation time: 0.001349 s

Total computation time: 1.247639 s

Expected dose size: 96 bytes
"""
SIZES = {"Outputs/Dose.mhd": 208, "Outputs/Dose.raw": 96}
MHD = b"""ObjectType = Image
NDims = 3
DimSize = 2 3 4
ElementSpacing = 1.000000 2.000000 3.000000
Offset = -10.500000 -25.000000 -31.500000
ElementType = MET_FLOAT
ElementByteOrderMSB = False
ElementDataFile = Dose.raw
"""


def layer(energy=150.0, weights=(1.0, 3.0), spots=((1.0, 2.0), (-3.0, 4.5))):
    return Layer(energy, np.array(spots, dtype=float), np.array(weights, dtype=float))


def beam(**changes) -> Beam:
    whole = Beam(3, "canary", "G1", 90.0, 10.0, (-9.5, 22.0, -25.0), 50.0, 5.0, (layer(), layer(100.0, (1.0, 0.0))))
    return replace(whole, **changes)


def plan(*beams: Beam) -> IonPlan:
    return IonPlan("1.2.3", "FRAME", "1.2.4", "canary", "canary", 30, beams or (beam(),))


def volume(**changes) -> CTVolume:
    hu = np.arange(24, dtype=np.float32).reshape(GRID.shape)
    return replace(CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), "Maker|Model|Room"), **changes)


def engine(models=None, curves=None, **options) -> DoseEngine:
    known = setup(models, curves, **options)
    return MCsquare(known.options, known.models, known.curves)


def setup(models=None, curves=None, **options) -> Setup:
    models = {"G1": parse_beam_model(TABLE, SIGNED)} if models is None else models
    curves = (
        {"Maker|Model|Room": parse_curve(b"-1000 0\r\n0 1\r\n", b"-1000 13\n0 17\n", SIGNED)}
        if curves is None
        else curves
    )
    return Setup(MCsquareOptions(home="/opt/mc", **options), models, curves)


def text(files: Mapping[str, bytes], name: str) -> list[str]:
    return files[name].decode().splitlines()


def after(lines: list[str], tag: str) -> list[str]:
    return [lines[i + 1] for i, line in enumerate(lines) if line == tag]


def test_ct_is_written_in_the_engines_order():
    files = common_files(engine(), plan(), volume())
    header = dict(line.split(" = ") for line in text(files, "CT.mhd"))
    assert header["DimSize"] == "2 3 4"
    assert header["ElementSpacing"] == "1 2 3"
    sent = np.frombuffer(files["CT.raw"], "<f4").reshape(4, 3, 2)
    assert sent[0, 0].tolist() == [5.0, 4.0]  # the last row of the first slice, x reversed
    assert sent[3, 2].tolist() == [19.0, 18.0]


def test_tables_travel_with_lf_line_ends():
    files = common_files(engine(), plan(), volume())
    (model,) = [data for name, data in files.items() if name.startswith("model-")]
    assert model == TABLE.replace(b"\r\n", b"\n")
    assert files["HU_Density.txt"] == b"-1000 0\n0 1\n"


def test_plan_file_is_in_mu_and_in_the_engines_frame():
    lines = text(beam_files(engine(), plan(), beam(), volume()), "plan.txt")
    assert after(lines, "#NumberOfFractions") == ["1"]
    assert after(lines, "###GantryAngle") == ["90"]
    assert after(lines, "###PatientSupportAngle") == ["10"]
    assert after(lines, "###IsocenterPosition") == ["1 3 6.5"]  # from the corner; y from the far end
    assert after(lines, "###FinalCumulativeMeterSetWeight") == ["50"]
    assert after(lines, "####Energy (MeV)") == ["150", "100"]
    assert after(lines, "####NbOfScannedSpots") == ["2", "1"]  # the spot without weight is left out
    assert after(lines, "####X Y Weight") == ["1 2 10", "1 2 10"]
    assert "-3 4.5 30" in lines


def test_small_weights_keep_their_digits():
    small = layer(weights=(1e-7, 3e-7))
    one = beam(layers=(small,), final_cumulative_weight=4e-7, meterset=4e-7)
    lines = text(beam_files(engine(), plan(one), one, volume()), "plan.txt")
    assert one.mu_per_weight == 1
    weight = after(lines, "####X Y Weight")[0].split()[2]
    assert "e" not in weight
    assert float(weight) == pytest.approx(1e-7, rel=1e-6)


def test_config_names_files_relative_to_the_run_folder():
    files = beam_files(engine(histories_per_beam=12345, threads=2, dose_to="water", seed=7), plan(), beam(), volume())
    config = dict(line.split(" ", 1) for line in text(files, "config.txt"))
    paths = [value for key, value in config.items() if key.endswith("_File")]
    assert len(paths) == 5
    assert all(path.startswith("../../input/") for path in paths)
    assert config["Num_Primaries"] == "12345"
    assert config["Num_Threads"] == "2"
    assert config["RNG_Seed"] == "7"
    assert config["Dose_to_Water_conversion"] == "OnlineSPR"
    assert config["Stat_uncertainty"] == "0.0"


def test_target_uncertainty_is_written_in_percent_with_a_bound():
    files = beam_files(engine(target_uncertainty=0.012), plan(), beam(), volume())
    config = dict(line.split(" ", 1) for line in text(files, "config.txt"))
    assert config["Stat_uncertainty"] == "1.2"
    assert config["Max_Num_Primaries"] == "50000000"


def test_nothing_sent_names_the_plan():
    one = engine()
    sent = {**common_files(one, plan(), volume()), **beam_files(one, plan(), beam(), volume())}
    assert not [name for name, data in sent.items() if b"canary" in data or b"1.2." in data or "canary" in name]


def test_work_names_its_program_and_files_and_nothing_of_the_case():
    home = "/opt/Dose engine's home"
    work = MCsquare(MCsquareOptions(home=home + "/"), {}, {}).job(JobRequest(3)).work()
    (program,) = work.programs
    assert program.argv == (f"{home}/MCsquare_linux", "../../input/beam-3/config.txt")
    assert dict(program.env) == {"MCsquare_Materials_Dir": f"{home}/Materials"}
    assert work.folders == ("Outputs",)
    assert set(work.products) == set(SIZES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"layers": (layer(), layer(201.0))}, ["beam 3", "layer 2", "201 MeV", "100 to 200 MeV"]),
        ({"layers": (layer(99.9),)}, ["beam 3", "layer 1", "99.9 MeV"]),
        ({"layers": (layer(), layer(100, (0.0, 0.0)))}, ["beam 3", "layer 2", "empty layer"]),
        ({"layers": (layer(weights=(), spots=np.zeros((0, 2))),)}, ["layer 1", "empty layer"]),
        ({"layers": ()}, ["beam 3", "no energy layer"]),
        ({"meterset": 0.0}, ["beam 3", "BeamMeterset (300A,0086) is 0"]),
        ({"meterset": float("nan")}, ["beam 3", "BeamMeterset", "nan"]),
        ({"final_cumulative_weight": 0.0}, ["beam 3", "FinalCumulativeMetersetWeight"]),
        ({"final_cumulative_weight": 8.0}, ["beam 3", "add up to 5", "FinalCumulativeMetersetWeight 8"]),
        ({"layers": (layer(weights=(-1.0, 6.0)),)}, ["layer 1", "negative"]),
        ({"layers": (layer(spots=((1.0, float("inf")), (0, 0))),)}, ["layer 1", "spot position"]),
        ({"layers": (layer(weights=(5.0,)),)}, ["layer 1", "2 spots but 1 weights"]),
        ({"isocenter": (-9.5, 500.0, -25.0)}, ["beam 3", "isocentre y = 500 mm"]),
        ({"gantry_angle": float("nan")}, ["beam 3", "angle"]),
        ({"gantry_angle": 1e300}, ["beam 3", "the gantry or couch angle is 1e+300 degrees, expected at most 360"]),
        ({"couch_angle": -361.0}, ["beam 3", "the gantry or couch angle is -361 degrees, expected at most 360"]),
    ],
)
def test_what_the_engine_would_take_without_a_word_is_refused(changed, words):
    bad = beam(**changed)
    for ask in (
        lambda: beam_files(engine(), plan(bad), bad, volume()),
        lambda: common_files(engine(), plan(bad), volume()),
    ):
        with pytest.raises(DicomProblem) as caught:
            ask()
        assert all(word in caught.value.reason for word in words), caught.value.reason
        assert caught.value.code.startswith("dose.")


def test_ct_of_another_frame_or_without_numbers_is_refused():
    with pytest.raises(DicomProblem, match="frame of reference"):
        common_files(engine(), plan(), volume(frame_of_reference_uid="OTHER"))
    broken = np.full(GRID.shape, np.nan, dtype=np.float32)
    with pytest.raises(DicomProblem, match="not finite"):
        common_files(engine(), plan(), volume(hu=broken))


def test_a_plan_may_leave_its_frame_of_reference_out():
    whole = common_files(engine(), plan(), volume())
    assert common_files(engine(), replace(plan(), frame_of_reference_uid=""), volume()) == whole


def test_a_layer_whose_protons_the_engine_would_not_send_is_refused_by_name():
    """Between 100 and 200 MeV the correlation passes through zero, at the energy of the plan's first layer."""
    blind = engine(models={"G1": parse_beam_model(table(Correlation1y=0.27), SIGNED)})
    with pytest.raises(DicomProblem, match=r"beam 3, layer 1 \(150 MeV\).*Correlation1y is 0"):
        common_files(blind, plan(), volume())
    with pytest.raises(DicomProblem, match="Correlation1y"):
        beam_files(blind, plan(), beam(), volume())


def test_unmapped_machine_and_scanner_are_named_with_the_key_to_add():
    with pytest.raises(ActionRequired) as caught:
        common_files(engine(), plan(beam(machine="G9")), volume())
    assert "'G9'" in caught.value.reason
    assert "machines" in caught.value.advice
    assert "G1" in caught.value.advice
    with pytest.raises(ActionRequired) as caught:
        common_files(engine(), plan(), volume(scanner="Other||"))
    assert "'Other||'" in caught.value.reason
    assert "scanners" in caught.value.advice


def test_beams_of_two_machines_each_get_their_model():
    other = parse_beam_model(TABLE.replace(b"2e8", b"3e8"), SIGNED)
    both = engine(models={"G1": parse_beam_model(TABLE, SIGNED), "G2": other})
    case = plan(beam(), beam(number=4, machine="G2"))
    models = [name for name in common_files(both, case, volume()) if name.startswith("model-")]
    assert len(models) == 2
    config = beam_files(both, case, case.beams[1], volume())["config.txt"].decode()
    assert f"model-{other.sha256[:12]}.txt" in config


def test_a_commissioned_model_and_curve_leave_no_doubt():
    assert engine().case(PreparedCase(plan(), volume())).basis() == ()


def test_uncommissioned_or_unknown_is_a_doubt():
    unsigned = engine(models={"G1": parse_beam_model(TABLE, Commissioning("Physics", ""))})
    assert ["G1" in sentence for sentence in unsigned.case(PreparedCase(plan(), volume())).basis()] == [True]
    nothing = engine(models={}, curves={}).case(PreparedCase(plan(), volume())).basis()
    assert len(nothing) == 2


def test_the_example_model_serves_the_demo_machine_alone():
    example, curve = Example(b"", (70.0,), (70.0,), (1.0,), SIGNED), ExampleCurve(b"", b"", SIGNED)
    known = {"Maker|Model|Room": curve}
    demo = engine(models={"MQI-DEMO": example}, curves=known)
    assert demo.case(PreparedCase(plan(beam(machine="MQI-DEMO")), volume())).basis() == ()
    real = engine(models={"G1": example}, curves=known).case(PreparedCase(plan(), volume())).basis()
    assert len(real) == 2
    assert "example beam model" in real[0]
    assert "example curve" in real[1]


class Example(BeamModel):
    """The engine's example model, known by its digest alone."""

    sha256 = "4a1c050ba63ed63bdcda59fa1c99608d5f979b56d1b144ff6cf13779820d9b96"


class ExampleCurve(Curve):
    """The engine's example curve."""

    digests = ("904f0be93603f46d537c9e44735aee0411a7f08e0ce3f2e53e51cdc9c79735ee", "")


def test_a_complete_run_is_accepted_with_its_figures():
    judged = engine().job(JobRequest(3)).judge(0, LOG, SIZES)
    assert isinstance(judged, Accepted)
    assert judged.facts == {"uncertainty": 0.0211, "seconds": 1.247639, "histories": 100000, "outside": 60}


@pytest.mark.parametrize(
    ("code", "old", "new", "sizes", "words", "retryable"),
    [
        (0, "Total computation time: 1.247639 s", "", SIZES, "end mark", True),
        (0, "Total computation time: 1.247639 s", "Total computation ti", SIZES, "end mark", True),
        (0, " 10.0 %", 'Error: Unable to open "NOPE.mhd".', SIZES, "NOPE.mhd", False),
        (0, " 10.0 %", " ERROR: Material database not found!", SIZES, "Material database", False),
        (1, LOG, "unable to open plan parameters\n", {}, "unable to open plan", False),
        (0, " 10.0 %", ' Warning: Unknown parameter "NumPrim" in "c"', SIZES, "NumPrim", False),
        (0, " 10.0 %", " Warning : Material label 99 is not defined ", SIZES, "label 99", False),
        (1, "", "", SIZES, "exit code 1", True),
        (137, "", "", SIZES, "SIGKILL", True),
        (-11, LOG, "", {}, "exit code -11", True),
        (127, LOG, "sh: not found", {}, "could not be started", False),
        (124, LOG, "", {}, "time limit", False),
        (0, "", "", {"Outputs/Dose.mhd": 208}, "0 bytes, expected 96", True),
        (0, "", "", {"Outputs/Dose.raw": 96}, "Dose.mhd", True),
        (0, "", "", {**SIZES, "Outputs/Dose.raw": 92}, "92 bytes, expected 96", True),
        (0, "", "", {**SIZES, "Outputs/Dose.raw": 192}, "192 bytes", True),
        (0, "Expected dose size: 96 bytes", "", SIZES, "expected dose size", True),
        (0, "(60 gen", "(100000 gen", SIZES, "100 % of the protons", False),
        (0, "simulated: 100000", "simulated: 0", SIZES, "no protons", False),
        (0, "stat uncertainty", "stat", SIZES, "no statistical uncertainty", False),
    ],
)
def test_each_lie_is_refused(code, old, new, sizes, words, retryable):
    judged = engine().job(JobRequest(3)).judge(code, LOG.replace(old, new) if old else LOG, sizes)
    assert isinstance(judged, Refused)
    assert words in judged.why
    assert judged.retryable is retryable


def test_progress_is_read_from_a_cut_log():
    one = engine().job(JobRequest(3))
    assert one.progress("").percent is None
    assert one.progress(" started\n 10.0 % \n 20.0 % \n 3").percent == 20
    seen = one.progress("0.0 % (stat uncertainty: 9.99 %) \n 60.0 % (stat uncertainty: 2.55 %) \n 70.0 % (stat unc")
    assert (seen.percent, seen.uncertainty) == (60, 0.0255)
    whole = one.progress(LOG)
    assert (whole.percent, whole.uncertainty) == (100, 0.0211)


def test_progress_towards_a_target_is_told_from_the_uncertainty():
    one = engine(target_uncertainty=0.02).job(JobRequest(3))
    assert one.progress("batch 1 completed \nbatch 2 completed \n").percent is None
    seen = one.progress("batch 5 completed (stat uncertainty: 4.00 %) \nbatch 6 comple")
    assert seen.percent == pytest.approx(25)
    assert seen.uncertainty == pytest.approx(0.04)
    assert one.progress("batch 9 completed (stat uncertainty: 1.50 %) \n").percent == 100


def products(values=None, header: bytes = MHD) -> dict[str, bytes]:
    values = np.arange(24, dtype="<f4") if values is None else np.asarray(values, dtype="<f4")
    return {"Outputs/Dose.mhd": header, "Outputs/Dose.raw": values.tobytes()}


def test_dose_is_gray_of_one_fraction_in_dicom_order():
    dose = engine().case(PreparedCase(plan(), volume())).read_dose(3, products(), LOG)
    protons = 40 * 1.5e8 + 10 * 1e8  # 50 MU: 40 at 150 MeV, 10 at 100 MeV
    assert dose.gy.shape == GRID.shape
    assert dose.gy.dtype == np.float32
    assert dose.gy[0, 2, 1] == 0  # the engine's first value is at DICOM's last row and column
    assert dose.gy[0, 0, 0] == pytest.approx(5 * protons * 1.602176634e-19 * 1000, rel=1e-6)
    assert (dose.beam_number, dose.uncertainty) == (3, 0.0211)
    assert dose.dose_type.medium is Medium.MEDIUM


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(24), "zero everywhere"),
        ([np.nan] + [1.0] * 23, "not finite"),
        ([np.inf] + [1.0] * 23, "not finite"),
        ([-1.0] + [1.0] * 23, "negative"),
        (np.ones(23), "92 bytes"),
        (np.ones(25), "100 bytes"),
    ],
)
def test_a_dose_that_is_none_does_not_count(values, words):
    with pytest.raises(Permanent, match=words):
        engine().case(PreparedCase(plan(), volume())).read_dose(3, products(values), LOG)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"2 3 4", b"4 3 2", "DimSize"),
        (b"2 3 4", b"2 3", "DimSize"),
        (b"3.000000\nO", b"3.100000\nO", "ElementSpacing"),
        (b"-25.000000", b"25.000000", "Offset"),
        (b"-25.000000", b"x", "Offset"),
        (b"Offset =", b"Offset", "key = value"),
        (b"MET_FLOAT", b"MET_DOUBLE", "ElementType"),
        (b"= False", b"= True", "ElementByteOrderMSB"),
        (b"Dose.raw", b"Other.raw", "ElementDataFile"),
        (b"NDims = 3", b"DimSize = 2 3 4", "repeats a key"),
        (MHD, b"", "NDims"),
    ],
)
def test_an_image_of_another_grid_does_not_count(old, new, words):
    with pytest.raises(Permanent, match=words):
        engine().case(PreparedCase(plan(), volume())).read_dose(3, products(header=MHD.replace(old, new)), LOG)


def test_a_complaint_in_the_log_or_a_missing_file_does_not_count():
    with pytest.raises(Permanent, match="reported an error"):
        engine().case(PreparedCase(plan(), volume())).read_dose(3, products(), "Error: x\n" + LOG)
    with pytest.raises(Permanent, match=r"Dose\.raw was not fetched"):
        engine().case(PreparedCase(plan(), volume())).read_dose(3, {"Outputs/Dose.mhd": MHD}, LOG)


def test_evidence_names_digests_and_who_vouches():
    output = engine().evidence()
    assert parse_beam_model(TABLE, SIGNED).sha256 in output["beam_model/G1"]
    assert "commissioned by Physics on 2026-01-31" in output["curve/Maker|Model|Room"]


def test_needs_name_the_engines_files_with_advice():
    needs = MCsquare(MCsquareOptions(home="/opt/a b"), {}, {}).needs()
    assert [need.kind for need in needs] == ["executable", "sha256", "readable", "starts"]
    assert all(need.what.startswith("/opt/a b/") and "mqi fetch-engine" in need.advice for need in needs)


def test_a_longer_run_differs_in_its_histories_alone():
    short = engine(histories_per_beam=1000)
    long = short.with_histories(5000)
    assert (short.histories, long.histories) == (1000, 5000)
    assert dict(common_files(long, plan(), volume())) == dict(common_files(short, plan(), volume()))
    before, after = (beam_files(one, plan(), beam(), volume())["config.txt"].decode() for one in (short, long))
    assert before.replace("Num_Primaries 1000\n", "Num_Primaries 5000\n") == after != before
    assert long.evidence() == {**short.evidence(), "histories_per_beam": "5000"}
    assert engine(target_uncertainty=0.01).histories is None


def test_layers_of_one_energy_stay_apart_and_in_order():
    layers = tuple(
        layer(energy, (weight,), ((weight, 0.0),)) for energy, weight in ((150, 1), (150, 2), (100, 3), (150, 4))
    )
    one = beam(layers=layers, final_cumulative_weight=10.0, meterset=10.0)
    lines = text(beam_files(engine(), plan(one), one, volume()), "plan.txt")
    assert after(lines, "####Energy (MeV)") == ["150", "150", "100", "150"]
    assert after(lines, "####X Y Weight") == ["1 0 1", "2 0 2", "3 0 3", "4 0 4"]
