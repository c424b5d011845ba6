"""moqui through the port, as a host would run it: a stand-in for its program, in real processes, in three flavours,
well and in every way in which moqui fails."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from tests.doing import do, looked_at
from tests.engine_files import common_files
from tests.seldom import seldom
from tests.standin import site, small
from tests.standin.failures import FAILS, FAST
from tests.standin.machine import Spots
from tests.standin.patient import Voxels, voxels
from tests.standin.physics import beam_dose
from tests.standin.settings import FAULTS

from mqi_communicator.case.faults import Permanent
from mqi_communicator.demo.phantom import hounsfield, in_body
from mqi_communicator.demo.truth import TINY
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import CTVolume, Dose, Grid, IonPlan, Layer, LayerKind
from mqi_communicator.dose.engine import Accepted, JobRequest, PreparedCase, Refused
from mqi_communicator.dose.moqui.engine import Moqui
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import prepare

pytestmark = pytest.mark.real

FLAVOURS = ("upstream", "fork", "clinic")


@dataclass
class Ran:
    judged: Accepted | Refused
    code: int
    log: str
    folder: Path
    products: dict[str, bytes]
    dose: Dose | None = None
    refused: Permanent | None = None


@dataclass
class Site:
    """A case, a moqui, and a host: the input two folders up from each run folder."""

    engine: Moqui
    plan: IonPlan
    ct: CTVolume
    folder: Path
    runs: list[Path] = field(default_factory=list)

    def send(self) -> None:
        for name, data in self.engine.case(PreparedCase(self.plan, self.ct)).files().items():
            path = self.folder / "input" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def run(self, number: int, gpus: int = 1) -> Ran:
        if not (self.folder / "input").exists():
            self.send()
        run = self.folder / "runs" / f"run-{len(self.runs)}"
        run.mkdir(parents=True)
        self.runs.append(run)
        work = self.engine.job(JobRequest(number, gpus)).work()
        code, log = do(work, run)
        made = {name: (run / name).read_bytes() for name in work.products if (run / name).exists()}
        sizes = {name: len(data) for name, data in made.items()}
        judged = self.engine.job(JobRequest(number)).judge(code, looked_at(log), sizes)
        if isinstance(judged, Accepted):
            judged = self.engine.job(JobRequest(number)).judge(code, log, sizes)
        ran = Ran(judged, code, log, run, made)
        try:
            if isinstance(judged, Accepted):
                ran.dose = self.engine.case(PreparedCase(self.plan, self.ct)).read_dose(number, made, log)
        except Permanent as refused:
            ran.refused = refused
        return ran


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    """A case of each kind, written once."""
    made: dict[str, Path] = {}

    def write(kind: str = "pass", flavour: str = "upstream") -> Path:
        name = f"{kind}-{flavour}"
        if name not in made:
            made[name] = tmp_path_factory.mktemp("case") / name
            site.write_sample(made[name], kind=kind, flavour=flavour)
        return made[name]

    return write


@pytest.fixture
def moqui(tmp_path, cases):
    """A site with a stand-in that behaves like this."""

    def build(
        flavour: str = "upstream", kind: str = "pass", behaves: dict[str, Any] | None = None, **engine: Any
    ) -> Site:
        program = site.install(tmp_path / "host", flavour=flavour, **(behaves or {}))
        output = site.sections(program, tmp_path / "beam_file.txt", flavour, **{**FAST, **engine})
        case = cases(kind, flavour)
        plan, ct = sound_plan(case / "RP.dcm"), read_ct(sorted(case.glob("CT*")))
        return Site(site.engine(output), plan, ct, tmp_path)

    return build


def truth(ct: CTVolume, plan: IonPlan, number: int, flavour: str = "upstream") -> np.ndarray:
    """Gy of one fraction, from the case's own records by the stand-in's model without noise."""
    beam = next(beam for beam in plan.beams if beam.number == number)
    return site.true_dose(beam, Voxels(ct.grid.shape, ct.grid.origin, ct.grid.spacing, ct.hu.astype(np.int16)), flavour)


def agree(dose: Dose | None, wanted: np.ndarray, allowed: float = 0.01) -> None:
    assert dose is not None
    high = wanted > 0.5 * wanted.max()
    assert dose.gy[high].sum() / wanted[high].sum() == pytest.approx(1.0, abs=allowed)
    assert np.corrcoef(dose.gy[high], wanted[high])[0, 1] > 0.9
    off = np.abs(dose.gy - wanted)[high] / wanted.max()
    assert np.median(off) < 3 * allowed


@pytest.mark.parametrize("flavour", seldom(FLAVOURS, often=["clinic"]))
def test_a_beam_comes_home_as_its_dose(moqui, flavour):
    """Gantry, couch, spots, energies, monitor units, fractions: the whole way through DICOM, input and output."""
    at = moqui(flavour)
    assert at.engine.case(PreparedCase(at.plan, at.ct)).basis() == ()
    ran = at.run(2)
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    agree(ran.dose, truth(at.ct, at.plan, 2, flavour))
    assert ran.dose is not None
    assert ran.dose.beam_number == 2
    assert 0.005 < (ran.dose.uncertainty or 0) < 0.08


@pytest.mark.long
def test_lines_have_the_dose_of_spots_that_are_dense_on_them(moqui):
    at = moqui(kind="line-private")
    planned = at.plan.beams[1]
    assert {layer.kind for layer in planned.layers} == {LayerKind.LINES}
    prepared = prepare(at.plan, at.ct, None, at.engine, PreparationOptions())
    assert prepared.problems == ()
    at.plan, at.ct = prepared.case.plan, prepared.case.ct
    ran = at.run(planned.number)
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    dense = replace(planned, layers=tuple(dense_spots(layer) for layer in planned.layers))
    agree(ran.dose, truth(at.ct, replace(at.plan, beams=(dense,)), planned.number))


def dense_spots(layer: Layer) -> Layer:
    """12 spots, evenly on each way of 8 mm that has a weight."""
    shares = (np.arange(12) + 0.5)[:, np.newaxis] / 12
    used = [i for i, weight in enumerate(layer.weights) if weight > 0]
    spots = [layer.spots[i - 1] + shares * (layer.spots[i] - layer.spots[i - 1]) for i in used]
    weights = [np.full(12, layer.weights[i] / 12) for i in used]
    return Layer(layer.energy, np.concatenate(spots), np.concatenate(weights))


@pytest.mark.long
def test_it_says_as_much_as_moqui_does(moqui):
    """A table of histories of 2.4 kB, and a section of more than 4.07 kB: the last 4 kB cut through it."""
    ran = moqui().run(1)
    first, second = ran.log.split("mqi-program moqui-")[1:]
    second = second.split("mqi-asked")[0]
    for section in (first, second):
        assert 4050 < len(section) < 4400
        table = [line for line in section.splitlines(keepends=True) if "  spot  " in line]
        assert 2400 <= sum(map(len, table)) < 2500
    assert ran.log[-4096:].count("Time taken by MC engine") == 1, "the first run's end mark is not in it"


@pytest.mark.long
def test_a_gpu_builds_longer_words_are_judged_too(moqui):
    at = moqui(behaves={"log_bytes": 40_000})
    ran = at.run(2)
    assert isinstance(ran.judged, Accepted), ran.judged
    agree(ran.dose, truth(at.ct, at.plan, 2))


def test_its_air_is_as_dense_as_moquis():
    """100 mm of air cost 1.1 mm of range, however thin the CT says that it is; outside the CT there is nothing."""
    spots = Spots(np.array([100.0]), np.zeros(1), np.zeros(1), np.array([4.0]), np.array([1]), (2234.8, 1859.1))

    def reach(air: int, hu: int = -1000) -> float:
        """Depth in water (mm) of half of the highest dose, below so many mm of air."""
        whole = np.zeros((20, air + 120, 20), np.int16)
        whole[:, :air] = hu
        voxels = Voxels(whole.shape, (-19.0, -float(air), -19.0), (2.0, 1.0, 2.0), whole)
        whole_dose = beam_dose(
            voxels, spots, np.ones(1), isocentre=(0.0, 50.0, 0.0), gantry=0.0, couch=0.0, start=400.0
        )
        along = whole_dose[10, :, 10][air:]
        peak = int(along.argmax())
        return peak + float(np.interp(-0.5 * along.max(), -along[peak:], np.arange(len(along) - peak)))

    bare = reach(1)
    assert bare - reach(101) == pytest.approx(1.13, abs=0.1)
    assert reach(101, -1024) == pytest.approx(reach(101), abs=1e-6)


@pytest.mark.parametrize("gantry", [0.0, 90.0])
def test_wide_air_around_the_patient_takes_no_range(gantry):
    """A cube of water, as it is and with 150 mm of air on all sides. Whole, the wide CT would cost 1.7 mm."""
    step, count = 1.0, 120
    one = small.beam(gantry_angle=gantry, couch_angle=0.0, isocenter=(0.0, 0.0, 0.0))
    spots = Spots(np.array([100.0]), np.zeros(1), np.zeros(1), np.array([4.0]), np.array([1]), (2234.8, 1859.1))

    def r80(air: int) -> float:
        """mm from the isocentre, downstream, in what the engine sends of a CT with so many voxels of air around."""
        hu = np.full((12, count + 2 * air, count + 2 * air), -1000, np.float32)
        hu[:, air : air + count, air : air + count] = 0
        edge = -step * (count + 2 * air - 1) / 2
        grid = Grid(hu.shape, (edge, edge, -16.5), (step, step, 3.0))
        files = common_files(small.moqui(), small.plan(one), small.volume(grid, hu=hu))
        sent = voxels([pydicom.dcmread(BytesIO(data)) for name, data in files.items() if "/CT" in name])
        dose = beam_dose(sent, spots, np.ones(1), isocentre=(0.0, 0.0, 0.0), gantry=gantry, couch=0.0, start=460.0)
        axis = 1 if gantry == 0.0 else 2
        along = dose.sum(axis=tuple(k for k in range(3) if k != axis))
        places = sent.first[2 - axis] + step * np.arange(len(along))
        if gantry == 90.0:  # from +x
            along, places = along[::-1], -places[::-1]
        peak = int(along.argmax())
        return float(np.interp(-0.8 * along.max(), -along[peak:], places[peak:]))

    assert r80(150) == pytest.approx(r80(0), abs=0.3)


FORMATS = list(itertools.product(("mha", "mhd", "raw"), ("centre", "edge")))


@pytest.mark.long
@pytest.mark.parametrize("saved", FORMATS)
def test_every_format_is_the_same_dose(moqui, saved):
    dose_format, offset = saved
    at = moqui(behaves={"offset": offset, "noise": 0.0}, format=dose_format, seeds=1)
    ran = at.run(1)
    assert ran.dose is not None, (ran.judged, ran.refused)
    agree(ran.dose, truth(at.ct, at.plan, 1), 0.002)


def test_the_planned_dose_of_the_samples_is_the_stand_ins_truth(cases):
    from mqi_communicator.dicom.records import Biology, DoseType, Extent, Medium
    from mqi_communicator.dicom.rtdose import read_rtdose

    case = cases()
    plan, ct = sound_plan(case / "RP.dcm"), read_ct(sorted(case.glob("CT*")))
    dose = read_rtdose(case / "RD.beam1.dcm", DoseType(Medium.WATER, Biology.PHYSICAL, Extent.COURSE))
    mz, my, mx = TINY.margin
    whole = truth(ct, plan, 1) * in_body(TINY.ct) * plan.fractions
    assert dose.gy == pytest.approx(whole[mz:-mz, my:-my, mx:-mx], abs=1e-3 * whole.max())
    assert (ct.hu == hounsfield(TINY.ct)).all()


@pytest.mark.long
def test_a_setup_beam_keeps_its_number_and_the_next_beam_is_not_taken_for_it(moqui):
    at = moqui(kind="setup-beam")
    assert [beam.number for beam in at.plan.beams] == [2, 3]
    ran = at.run(3)
    assert list(ran.products) == ["Outputs-1/beam_3_0_Dose.mha", "Outputs-2/beam_3_0_Dose.mha"]
    agree(ran.dose, truth(at.ct, at.plan, 3))


@pytest.mark.long
@pytest.mark.parametrize(("kind", "axis", "moved"), [("shift-error", 0, 3.0)])
def test_a_plan_that_aims_elsewhere_gives_a_dose_elsewhere(moqui, kind, axis, moved):
    quiet = {"noise": 0.0}
    good, bad = (moqui(kind=which, behaves=quiet, seeds=1) for which in ("pass", kind))
    bad.folder = bad.folder / "bad"
    here, there = (at.run(1).dose for at in (good, bad))
    assert here is not None
    assert there is not None
    centres = []
    for dose in (here, there):
        high = np.where(dose.gy > 0.3 * dose.gy.max(), dose.gy, 0)
        along = high.sum(axis=tuple(k for k in range(3) if k != axis))
        centres.append(float(along @ dose.grid.axes()[axis] / along.sum()))
    assert centres[1] - centres[0] == pytest.approx(moved, abs=0.7)


@pytest.mark.long
def test_several_gpus_of_the_clinic_are_named_as_the_job_numbers_them(moqui, monkeypatch):
    at = moqui("clinic", gpus_per_beam=4, seeds=1, behaves={"needs_gpu": True})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    ran = at.run(1, gpus=2)
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    none_free = at.run(1, gpus=4)
    assert isinstance(none_free.judged, Refused)
    assert "No free GPU remains" in none_free.judged.why
    assert none_free.judged.retryable


def test_every_fault_of_the_stand_in_has_a_row():
    assert set(FAILS) == set(FAULTS)


@pytest.mark.parametrize("fault", seldom(FAULTS, often=["wrong-grid"]))
def test_each_way_to_fail_is_found(moqui, fault):
    flavour, engine, code, words, retryable = FAILS[fault]
    at = moqui(flavour, behaves={"fault": fault}, **engine)
    ran = at.run(1)
    assert ran.code == code, ran.log
    if retryable is None:
        assert isinstance(ran.judged, Accepted), ran.judged
        assert ran.refused is not None
        assert words in ran.refused.reason
        return
    assert isinstance(ran.judged, Refused), ran.judged
    assert words in ran.judged.why
    assert ran.judged.retryable is retryable


@pytest.mark.long
@pytest.mark.parametrize("dose_format", ["mhd", "raw"])
@pytest.mark.parametrize("fault", ["save-crash", "short", "empty", "disk-full"])
def test_half_a_dose_is_none_in_any_format(moqui, dose_format, fault):
    """The header is new and whole, the values are not; nothing is said of a raw file on a full disk."""
    ran = moqui(behaves={"fault": fault}, format=dose_format, seeds=1).run(1)
    assert isinstance(ran.judged, Refused), ran.judged
    assert ran.judged.retryable
    if dose_format == "mhd":
        assert (ran.folder / "Outputs" / "beam_1_0_Dose.mhd").stat().st_size > 0


@pytest.mark.long
@pytest.mark.parametrize("fault", ["short", "dcm-unsaved"])
def test_half_a_dicom_dose_is_none(moqui, fault):
    ran = moqui("fork", behaves={"fault": fault}, format="dcm", seeds=1).run(1)
    assert isinstance(ran.judged, Refused) or isinstance(ran.refused, DicomProblem)
    assert ran.dose is None


@pytest.mark.long
def test_a_random_crash_is_over_in_the_next_run(moqui):
    at = moqui(behaves={"fault": "save-crash", "fault_runs": 1}, seeds=1)
    first, second = at.run(1), at.run(1)
    assert isinstance(first.judged, Refused)
    assert isinstance(second.judged, Accepted)
    assert second.dose is not None


def test_an_old_dose_in_the_way_is_not_taken_for_a_new_one(moqui):
    """moqui refuses a folder that is there: what lies in it stays what it was, and does not count."""
    made = {"name": "maker", "argv": ["sh", "-c", "mkdir Outputs && echo old > Outputs/beam_1_0_Dose.mha"]}
    ran = moqui(seeds=1, before=[made]).run(1)
    assert ran.code == 134
    assert isinstance(ran.judged, Refused)
    assert "Output directory exists." in ran.judged.why


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda i: (i / "common/dicom/RP.dcm").unlink(), 134, "There is no RTPLAN in the path"),
        (lambda i: [p.unlink() for p in (i / "common").glob("machine-*")], 139, "out-of-bound"),
        (lambda i: edit(i, "BeamNumbers 1", "BeamNumbers 7"), 134, "Invalid beam number."),
        (lambda i: edit(i, "Machine pbs:", "Machine site:"), 134, "Valid machine is not available."),
        (lambda i: edit(i, "Scorer Dose", "Scorer Doze"), 134, "Unrecognized scorer name"),
        (lambda i: edit(i, "ParentDir ../../input/common\n", ""), 134, "ParentDir is not provided"),
        (lambda i: edit(i, "OutputDir Outputs\n", ""), 134, "Output directory is not provided."),
        (lambda i: edit(i, "OutputDir Outputs", "OutputDir none/Outputs"), 1, "exit code 1"),
        (lambda i: edit(i, "GPUID 0\n", "GPUID 0\n   \n"), 134, "basic_string::substr"),
        (lambda i: edit(i, "BeamNumbers 1\n", ""), 139, "crashed before it computed"),
        (lambda i: next((i / "beam-1").glob("input*")).unlink(), 134, "Cannot open input parameter file."),
    ],
)
def test_what_moqui_says_to_a_damaged_input_is_understood(moqui, spoil, code, words):
    """None of it is sent; but disks fail, and people try things."""
    at = moqui(seeds=1)
    at.send()
    spoil(at.folder / "input")
    ran = at.run(1)
    assert ran.code == code, ran.log
    assert isinstance(ran.judged, Refused)
    assert words in ran.judged.why


def edit(folder: Path, old: str, new: str) -> None:
    (path,) = (folder / "beam-1").glob("input*")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.long
def test_lists_that_a_step_of_the_site_writes_are_computed(moqui):
    """An interpreter before moqui: here it copies lists that were sent with another case."""
    lists = common_files(moqui("fork").engine, *_case(moqui("fork")))
    at = moqui(
        "fork",
        seeds=1,
        spots="before",
        before=[
            {
                "name": "interpreter",
                "argv": ["sh", "-c", 'for f in ../../lists/*; do cp -r "$f" spots/; done', "sh", "{beam}"],
                "outputs": ["spots/1/01_129.00MeV.csv"],
            }
        ],
        after=[{"name": "converter", "argv": ["sh", "-c", "test -s Outputs/beam_{beam}_0_Dose.mhd && echo fine"]}],
    )
    for name, data in lists.items():
        if name.startswith("spots/"):
            path = at.folder / "lists" / name.removeprefix("spots/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    ran = at.run(1)
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    assert ran.log.count("mqi-program") == 3
    assert "fine" in ran.log
    assert at.engine.case(PreparedCase(at.plan, at.ct)).basis() != ()  # nobody declared a dose factor


def _case(at: Site) -> tuple[IonPlan, CTVolume]:
    return at.plan, at.ct


@pytest.mark.long
def test_progress_is_seen_while_it_runs(moqui):
    at = moqui()
    log = at.run(1).log
    seen = [at.engine.job(JobRequest(3)).progress(log[:end][-4096:]).percent for end in range(0, len(log), 200)]
    reported = [percent for percent in seen if percent is not None]
    assert reported == sorted(reported)
    assert reported[0] < 10
    assert reported[-1] == 100
    assert len(set(reported)) > 10


@pytest.mark.long
def test_runs_leave_a_witness_with_their_gpus(moqui, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("MQI_TOKEN", "case-b1-r1")
    at = moqui(behaves={"witness": str(tmp_path / "witness"), "needs_gpu": True})
    assert isinstance(at.run(1).judged, Accepted)
    lines = (tmp_path / "witness").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["start", "end", "start", "end"]
    assert all("token=case-b1-r1 gpus=3" in line for line in lines)
