"""What is sent to moqui, what its job does, and what its answer means."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.engine_files import beam_files, common_files
from tests.standin.small import (
    GRID,
    SCANNER,
    SIGNED,
    beam,
    beam_file,
    layer,
    lines_of,
    machine,
    moqui,
    plan,
    volume,
)

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Biology, DoseType, Extent, Grid, Medium
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.engine import DoseEngine, JobRequest, PreparedCase
from mqi_communicator.dose.moqui.basis import Calibration
from mqi_communicator.dose.rays import gantry_axes

pytestmark = pytest.mark.pure


def sent(engine: DoseEngine | None = None, case=None, ct=None):
    files = common_files(engine or moqui(), case or plan(), ct or volume())
    return {name: pydicom.dcmread(BytesIO(data)) for name, data in files.items() if name.endswith(".dcm")}


def asked(engine: DoseEngine, one, ct=None) -> str:
    return beam_files(engine, plan(one), one, ct or volume())["asked.txt"].decode()


def test_nothing_sent_names_the_plan_nor_the_patient():
    one = moqui(flavour="fork", gpus_per_beam=1)
    files = {**common_files(one, plan(), volume()), **beam_files(one, plan(), beam(), volume())}
    reported = [
        name for name, data in files.items() if any(w in data for w in (b"canary", b"1.2.3", b"1.2.5", b"FRAME"))
    ]
    assert not reported
    assert not [name for name in files if "canary" in name]


def test_the_same_case_gives_the_same_bytes():
    assert dict(common_files(moqui(), plan(), volume())) == dict(common_files(moqui(), plan(), volume()))
    assert dict(beam_files(moqui(), plan(), beam(), volume())) == dict(beam_files(moqui(), plan(), beam(), volume()))


def test_the_plan_is_in_mu_and_each_beam_at_its_number():
    objects = sent()
    items = objects["dicom/RP.dcm"].IonBeamSequence
    assert [int(item.BeamNumber) for item in items] == [1, 2, 3]
    assert [item.BeamName for item in items] == ["unused_1", "unused_2", "beam_3"]
    points = items[2].IonControlPointSequence
    assert [float(p.NominalBeamEnergy) for p in points] == [150, 150, 100, 100]
    assert points[0].ScanSpotMetersetWeights == [10.0, 30.0]
    assert points[0].ScanSpotPositionMap == [1.0, 2.0, -3.0, 4.5]
    assert points[2].NumberOfScanSpotPositions == 1  # the spot without weight is left out
    assert float(items[2].FinalCumulativeMetersetWeight) == 50.0
    assert (float(points[0].SnoutPosition), float(points[0].BeamLimitingDeviceAngle)) == (410.0, 0.0)
    assert [int(item.NumberOfRangeShifters) for item in items] == [0, 0, 0]


def test_the_ct_is_what_moqui_can_read():
    slices = [ds for name, ds in sorted(sent().items()) if "CT" in name]
    assert len(slices) == 4
    first = slices[0]
    assert (first.PixelRepresentation, first.BitsAllocated, first.RescaleSlope, first.RescaleIntercept) == (1, 16, 1, 0)
    assert float(first.SliceThickness) == 3.0
    assert [float(ds.ImagePositionPatient[2]) for ds in slices] == [-30, -27, -24, -21]
    assert np.frombuffer(slices[1].PixelData, "<i2").reshape(3, 5)[2, 4] == 15 * 1 + 14 - 900


def test_pixels_that_are_not_square_are_refused():
    oblong = volume(Grid(GRID.shape, GRID.origin, (2.0, 2.5, 3.0)))
    for ask in (lambda: common_files(moqui(), plan(), oblong), lambda: beam_files(moqui(), plan(), beam(), oblong)):
        with pytest.raises(DicomProblem, match=r"2 mm wide and 2\.5 mm high") as caught:
            ask()
        assert caught.value.code == "dose.pixels"


@pytest.mark.parametrize(
    ("changed", "words", "code"),
    [
        ({"layers": (layer(), layer(230.1))}, "230.1 MeV of layer 2 is outside.*more than 70 and up to", "dose.energy"),
        ({"layers": (layer(70.0),)}, "70 MeV of layer 1 is outside the beam model's table", "dose.energy"),
        ({"snout_position": None}, "no SnoutPosition", "dose.snout"),
        ({"snout_position": -49.0}, "start protons 1 mm from the isocentre, in -\\d+ HU, expected air", "dose.snout"),
        ({"meterset": 0.0}, "BeamMeterset", "dose.meterset"),
        ({"layers": (layer(weights=(1e-12, 5.0)),)}, "weakest spot", "dose.histories"),
        ({"isocenter": (-6.0, 500.0, -25.0)}, "isocentre y = 500", "dose.isocenter"),
    ],
)  # fmt: skip
def test_what_moqui_would_take_without_a_word_is_refused(changed, words, code):
    bad = beam(**changed)
    solid = volume(hu=np.full(GRID.shape, -500, dtype=np.float32))
    with pytest.raises(DicomProblem, match=words) as caught:
        beam_files(moqui(), plan(bad), bad, solid)
    assert caught.value.code == code


def test_a_beam_number_of_thousands_would_need_a_plan_of_as_many_beams():
    with pytest.raises(DicomProblem, match="a beam has the number 2000") as caught:
        common_files(moqui(), plan(beam(number=2000)), volume())
    assert caught.value.code == "dose.beam_number"


def test_protons_may_start_in_the_ct_where_it_is_air():
    airy = volume(hu=np.full(GRID.shape, -990, dtype=np.float32))
    one = beam(snout_position=-49.0)
    assert beam_files(moqui(), plan(one), one, airy)


def test_a_snout_position_of_the_machine_serves_plans_without_one():
    bare = beam(snout_position=None)
    engine = moqui({"G1": machine(snout_position=300.0)})
    (item,) = [i for i in sent(engine, plan(bare))["dicom/RP.dcm"].IonBeamSequence if i.BeamName == "beam_3"]
    assert float(item.IonControlPointSequence[0].SnoutPosition) == 300.0


def test_a_ct_beyond_16_bit_is_refused():
    hot = np.zeros(GRID.shape, dtype=np.float32)
    hot[0, 0, 0] = 40_000
    with pytest.raises(DicomProblem, match="40000 HU, expected -32768 to 32767"):
        common_files(moqui(), plan(), volume(hu=hot))


def test_axes_are_those_of_iec_61217_for_a_patient_head_first_supine():
    x, y, z = gantry_axes(0.0, 0.0)
    assert np.allclose([x, y, z], [[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # from above; y to the head
    assert np.allclose(gantry_axes(90.0, 0.0)[2], [1, 0, 0])  # from the patient's left
    assert np.allclose(gantry_axes(90.0, 90.0)[2], [0, 0, -1])


def test_unmapped_machine_and_scanner_are_named_with_the_key_to_add():
    with pytest.raises(ActionRequired) as caught:
        common_files(moqui(), plan(beam(machine="G9")), volume())
    assert "'G9'" in caught.value.reason
    assert "G1" in caught.value.advice
    with pytest.raises(ActionRequired) as caught:
        common_files(moqui(), plan(), volume(scanner="Other||"))
    assert "'Other||'" in caught.value.reason
    assert "calibration: default" in caught.value.advice


def test_beams_of_two_machines_each_get_their_file():
    other = machine(model=beam_file(text=b"other"))
    engine = moqui({"G1": machine(), "G2": other})
    case = plan(beam(), beam(number=4, machine="G2"))
    files = common_files(engine, case, volume())
    assert files[other.file] == b"other"
    assert machine().file in files
    output = lines_of(beam_files(engine, case, case.beams[1], volume())["input-run1-gpus1.txt"])
    assert output["Machine"] == f"pbs:../../input/common/{other.file}"


def test_spot_lists_are_one_line_of_whole_counts_by_number_and_energy():
    case = plan(beam(), beam(number=10, layers=tuple(layer(e) for e in (150.125, 149.0)), final_cumulative_weight=8.0))
    files = common_files(moqui(flavour="fork", seeds=1, histories_per_beam=5000), case, volume())
    lists = sorted(name for name in files if name.startswith("spots/"))
    assert [name for name in lists if name.endswith(".csv")] == [
        "spots/03/01_150.00MeV.csv",
        "spots/03/02_100.00MeV.csv",
        "spots/10/01_150.1250MeV.csv",
        "spots/10/02_149.00MeV.csv",
    ]
    assert len({name.split("/")[1] for name in lists}) == 10  # a folder for each number
    assert files["spots/03/01_150.00MeV.csv"] == b"0,1.0000,2.0000,1000,1,-3.0000,4.5000,3000"
    assert not [name for name in lists if name.count("/") != 2]


def test_counts_of_the_clinic_are_those_of_its_machine():
    files = common_files(moqui(flavour="clinic"), plan(), volume())
    assert files["spots/3/01_150.00MeV.csv"] == b"0,1.0000,2.0000,467000000,1,-3.0000,4.5000,1401000000"


def test_the_job_runs_moqui_once_per_seed_and_never_a_shell():
    work = moqui(time_limit_s=60).job(JobRequest(3)).work()
    first, second = work.programs
    assert first.argv == ("stdbuf", "-oL", "/opt/moqui/tps_env", "../../input/beam-3/input-run1-gpus1.txt")
    bare = moqui(stdbuf=False)
    assert bare.job(JobRequest(3)).work().programs[0].argv == first.argv[2:]
    assert {need.what for need in bare.needs()} == {"/opt/moqui/tps_env"}
    assert second.argv[-1] == "../../input/beam-3/input-run2-gpus1.txt"
    assert (first.name, second.name) == ("moqui-1", "moqui-2")
    assert first.outputs == ("Outputs-1/beam_3_0_Dose.mha",)
    assert work.products == ("Outputs-1/beam_3_0_Dose.mha", "Outputs-2/beam_3_0_Dose.mha")
    assert work.folders == ()  # moqui makes its own, and dies where it is there already
    assert (work.limit_s, work.shown) == (60, ("../../input/beam-3/asked.txt",))


def test_a_single_seed_has_plain_names():
    work = moqui(seeds=1, format="mhd").job(JobRequest(3)).work()
    assert [program.name for program in work.programs] == ["moqui"]
    assert work.products == ("Outputs/beam_3_0_Dose.mhd", "Outputs/beam_3_0_Dose.raw")


@pytest.mark.parametrize(("given", "used"), [(0, 1), (1, 1), (2, 2), (4, 3)])
def test_the_input_for_the_gpus_that_were_handed_over_is_picked(given, used):
    work = moqui(flavour="clinic", gpus_per_beam=3, seeds=1).job(JobRequest(3, given)).work()
    assert work.programs[0].argv[-1].endswith(f"input-run1-gpus{used}.txt")
    assert work.folders == (("gpu-work-1",) if used > 1 else ())


def test_steps_of_the_site_run_before_and_after_with_their_places_filled():
    step = {"name": "interpreter", "argv": ["python3", "cli.py", "--beam", "{beam}", "{common}"], "env": {"A": "b c"}}
    last = {
        "name": "converter",
        "argv": ["~/bin/convert", "Outputs-1", "{gpus}"],
        "outputs": ["done-{beam}"],
        "limit_s": 9,
    }
    work = moqui(flavour="fork", spots="before", before=[step], after=[last]).job(JobRequest(3)).work()
    names = [program.name for program in work.programs]
    assert names == ["interpreter", "moqui-1", "moqui-2", "converter"]
    assert work.programs[0].argv == ("python3", "cli.py", "--beam", "3", "../../input/common")
    assert work.programs[0].env == (("A", "b c"),)
    assert work.programs[3].argv == ("~/bin/convert", "Outputs-1", "1")
    assert (work.programs[3].outputs, work.programs[3].limit_s) == (("done-3",), 9)
    assert work.folders == ("spots",)
    single = moqui(seeds=1, after=[{**last, "argv": ["x", "{outputs}", "{input}"]}]).job(JobRequest(3)).work()
    assert single.programs[1].argv == ("x", "Outputs", "../../input/beam-3")


def test_spots_of_a_step_are_looked_for_in_the_run_folder():
    step = {"name": "interpreter", "argv": ["x"]}
    engine = moqui(flavour="fork", spots="before", before=[step])
    output = lines_of(beam_files(engine, plan(), beam(), volume())["input-run1-gpus1.txt"])
    assert (output["ParentDir"], output["logFilePath"]) == (".", "spots")
    assert not [name for name in common_files(engine, plan(), volume()) if name.startswith("spots/")]


def test_gpu_memory_grows_with_the_ct():
    engine = moqui(gpu_base_mib=100, gpu_bytes_per_voxel=64)
    grid = Grid((100, 128, 128), (0, 0, 0), (1, 1, 1))
    wide = volume(grid, hu=np.zeros(grid.shape, dtype=np.float32))
    small, large = (engine.case(PreparedCase(plan(), ct)).gpu_demand() for ct in (volume(), wide))
    assert small is not None
    assert large is not None
    assert (small.most, small.least, small.mib) == (1, 1, 101)
    assert large.mib == 100 + 64 * 100 * 128 * 128 // 2**20
    several = moqui(flavour="clinic", gpus_per_beam=4).case(PreparedCase(plan(), volume())).gpu_demand()
    assert several is not None
    assert several.most == 4


LOG = (
    "mqi-program moqui\nhistories 100\nfinalizing\nTime taken by MC engine: 5 milli-seconds\n"
    "mqi-asked voxels=60 histories=100 factor=2.0\n"
)


def raw(*values: float) -> bytes:
    return np.array([*values] + [1.0] * (60 - len(values)), dtype="<f8").tobytes()


def test_dose_is_gray_of_one_fraction_to_water():
    case = moqui(seeds=1, format="raw").case(PreparedCase(plan(), volume()))
    dose = case.read_dose(3, {"Outputs/beam_3_0_Dose.raw": raw(5.0)}, LOG)
    assert dose.gy[0, 0, 0] == 10.0
    assert dose.gy.dtype == np.float32
    assert dose.dose_type == DoseType(Medium.WATER, Biology.PHYSICAL, Extent.FRACTION)
    assert (dose.beam_number, dose.uncertainty, dose.grid) == (3, None, GRID)


def test_two_seeds_are_averaged_and_tell_the_uncertainty():
    products = {"Outputs-1/beam_3_0_Dose.raw": raw(5.0), "Outputs-2/beam_3_0_Dose.raw": raw(7.0)}
    run = LOG.split("mqi-asked", maxsplit=1)[0].replace("moqui", "moqui-{}", 1)
    log = run.format(1) + run.format(2) + "mqi-asked voxels=60 histories=100 factor=2.0\n"
    tissue = replace(volume(), hu=np.zeros(GRID.shape, dtype=np.float32))
    dose = moqui(format="raw").case(PreparedCase(plan(), tissue)).read_dose(3, products, log)
    assert dose.gy[0, 0, 0] == 12.0
    assert dose.uncertainty == pytest.approx(1 / 6)


@pytest.mark.parametrize(("extent", "divided"), [("fraction", 1.1), ("course", 33.0)])
def test_factors_that_the_program_puts_into_the_dose_are_declared_and_undone(extent, divided):
    engine = moqui(flavour="fork", seeds=1, format="raw", answer_rbe=1.1, answer_extent=extent)
    fork = LOG.replace("histories 100\n", "Total histories (Particles) : 100\n")
    dose = engine.case(PreparedCase(plan(), volume())).read_dose(3, {"Outputs/beam_3_0_Dose.raw": raw(5.0)}, fork)
    assert dose.gy[0, 0, 0] == pytest.approx(10.0 / divided)
    assert f"{extent} undone" in engine.evidence()["dose"]


def test_a_complaint_anywhere_in_the_log_or_a_log_without_its_end_does_not_count():
    engine, products = moqui(seeds=1, format="raw"), {"Outputs/beam_3_0_Dose.raw": raw(5.0)}
    with pytest.raises(Permanent, match="beam 3: moqui: out-of-bound"):
        engine.case(PreparedCase(plan(), volume())).read_dose(3, products, LOG.replace("finalizing", "out-of-bound"))
    with pytest.raises(Permanent, match="the log lacks the line"):
        engine.case(PreparedCase(plan(), volume())).read_dose(3, products, LOG.split("mqi-asked", maxsplit=1)[0])


def test_what_was_asked_is_written_beside_the_input():
    assert asked(moqui(), beam()).startswith("mqi-asked voxels=60 histories=")  # 3 x 5 x 4, no padding
    assert asked(moqui(flavour="clinic"), beam()) == "mqi-asked voxels=60 histories=0 factor=2.0\n"
    counts = asked(moqui(flavour="fork", seeds=1, histories_per_beam=5000), beam())
    assert counts == "mqi-asked voxels=60 histories=0 factor=1000000.0\n"  # 1e8 protons per MU, 100 counts per MU


def test_a_commissioned_machine_and_scanner_leave_no_doubt():
    for flavour in ("upstream", "fork", "clinic"):
        assert moqui(flavour=flavour).case(PreparedCase(plan(), volume())).basis() == ()


@pytest.mark.parametrize(
    ("flavour", "changed", "words"),
    [
        (
            "upstream",
            {"commissioning": Commissioning("Physics", "")},
            "the beam model of machine 'G1' has no commissioned_by",
        ),
        ("fork", {"protons_per_mu": None}, "relative: protons_per_mu is not declared"),
        ("clinic", {"dose_factor": None}, "relative: dose_factor is not declared"),
        ("clinic", {"counts_per_mu": None}, "relative: counts_per_mu is not declared"),
    ],
)
def test_what_nobody_vouches_for_is_a_doubt(flavour, changed, words):
    (output,) = moqui({"G1": machine(flavour, **changed)}, flavour=flavour).case(PreparedCase(plan(), volume())).basis()
    assert words in output
    assert "'G1'" in output


def test_lists_of_a_step_need_a_declared_factor():
    options = {"flavour": "fork", "spots": "before", "before": [{"name": "interpreter", "argv": ["x"]}]}
    assert moqui(**options).case(PreparedCase(plan(), volume())).basis() == ()
    (output,) = moqui({"G1": machine("fork", dose_factor=None)}, **options).case(PreparedCase(plan(), volume())).basis()
    assert "dose_factor" in output


def test_unmapped_and_unsigned_are_reasons_not_to_judge():
    assert len(moqui({}, {}).case(PreparedCase(plan(), volume())).basis()) == 2
    (output,) = moqui(calibrations={SCANNER: Calibration("default")}).case(PreparedCase(plan(), volume())).basis()
    assert "calibration of scanner 'Maker|Model|Room'" in output


def test_evidence_names_digests_and_who_vouches():
    output = moqui(program_sha256="a" * 64).evidence()
    assert beam_file().sha256 in output["beam_model/G1"]
    assert str(SIGNED) in output["beam_model/G1"]
    assert "commissioned by Physics on 2026-01-31" in output[f"calibration/{SCANNER}"]
    assert (output["engine"], output["flavour"], output["engine_sha256"]) == ("moqui", "upstream", "a" * 64)
    assert output["dose"] == "physical, to water, one fraction"


def test_needs_name_the_program_its_digest_and_the_sites_programs():
    step = {"name": "interpreter", "argv": ["python3", "x"]}
    own = {"name": "converter", "argv": ["~/bin/convert"]}
    needs = moqui(flavour="fork", program_sha256="b" * 64, before=[step], after=[own]).needs()
    assert [(need.kind, need.what) for need in needs] == [
        ("executable", "/opt/moqui/tps_env"),
        ("program", "stdbuf"),
        ("sha256", "/opt/moqui/tps_env"),
        ("starts", "stdbuf"),
        ("program", "python3"),
        ("executable", "~/bin/convert"),
    ]
    assert all(need.advice for need in needs)
    (start,) = (need for need in needs if need.kind == "starts")
    assert start.arguments == ("-oL", "/opt/moqui/tps_env", "there-is-no-input"), "as a job starts it"


@pytest.mark.parametrize("configured", [200_000, 1_000])  # as many as asked for; more, for the weakest spot
def test_a_longer_run_has_as_much_more_for_each_beam(configured):
    short = moqui(histories_per_beam=configured, max_histories_per_beam=400_000)
    long = short.with_histories(3 * configured)
    before, after = (int(asked(one, beam()).split("histories=")[1].split()[0]) for one in (short, long))
    assert after == pytest.approx(3 * before, rel=0.02)
    assert (short.histories, long.histories) == (configured, 3 * configured)
    assert long.evidence() == {**short.evidence(), "histories_per_beam": str(3 * configured)}


@pytest.mark.parametrize("flavour", ["upstream", "fork"])
def test_layers_of_one_energy_stay_apart_and_in_order(flavour):
    layers = tuple(
        layer(energy, (weight,), ((weight, 0.0),)) for energy, weight in ((150, 1), (150, 2), (100, 3), (150, 4))
    )
    one = beam(layers=layers, final_cumulative_weight=10.0, meterset=10.0)
    engine = moqui(flavour=flavour, gpus_per_beam=1)
    points = sent(engine, plan(one))["dicom/RP.dcm"].IonBeamSequence[2].IonControlPointSequence[::2]
    assert [float(point.NominalBeamEnergy) for point in points] == [150, 150, 100, 150]
    assert [point.ScanSpotPositionMap[0] for point in points] == [1, 2, 3, 4]
    if flavour == "fork":
        lists = sorted(
            (name, data) for name, data in common_files(engine, plan(one), volume()).items() if "/3/" in name
        )
        assert [name.split("/")[-1] for name, _ in lists] == [
            f"0{index}_{energy}.00MeV.csv" for index, energy in enumerate((150, 150, 100, 150), start=1)
        ]
        assert [data.split(b",")[1] for _, data in lists] == [b"1.0000", b"2.0000", b"3.0000", b"4.0000"]
