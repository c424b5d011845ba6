"""The engine itself, through the port, against physics: range, position, energy, monitor units, statistics."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy.optimize import curve_fit
from tests.doing import do, looked_at
from tests.seldom import seldom

from mqi_communicator.case.work import Need
from mqi_communicator.demo.sample import sample_files
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import Beam, CTVolume, Dose, Grid, IonPlan, Layer, Medium
from mqi_communicator.dicom.structures import Roi, StructureSet
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.engine import Accepted, JobRequest, PreparedCase, Refused
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.engine import MCsquare
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import prepare

pytestmark = pytest.mark.real

MACHINE, SCANNER = "G1", "Maker|Model|Room"
NOBODY = Commissioning()
AIR, WATER, BONE = -1000.0, 0.0, 1000.0
DENSITY = b"-1000 0.0012\n-600 0.0012\n-500 1\n500 1\n600 1.85\n2000 1.85\n"  # g/cm3
MATERIAL = b"-1050 13\n-550 17\n550 38\n"  # Air, Water, Bone_Cortical of the engine's list


CURVE = parse_curve(DENSITY, MATERIAL, NOBODY)


@pytest.fixture(scope="module")
def home() -> Path:
    default = Path(__file__).parents[2] / ".setup" / "mcsquare"
    path = Path(os.environ.get("MQI_ENGINE_HOME", default))
    if not (path / "MCsquare_linux").is_file():
        pytest.fail(f"the engine is not in {path}: run ./test.sh, or ./mqi fetch-engine '{path}'")
    return path


@pytest.fixture(scope="module")
def model(home: Path) -> BeamModel:
    return parse_beam_model((home / "BDL" / "BDL_default_DN_RangeShifter.txt").read_bytes(), NOBODY)


@dataclass
class Ran:
    judged: Accepted | Refused
    dose: Dose | None
    log: str
    code: int
    folder: Path


@pytest.fixture
def compute(home: Path, model: BeamModel, tmp_path: Path):
    """Compute one beam as a host would: the input two folders up, the command in a fresh run folder."""

    def run(
        beam: Beam,
        ct: CTVolume,
        *,
        at: Path = home,
        with_model: BeamModel = model,
        curve: Curve = CURVE,
        spoil: Callable[[bytes], bytes] = bytes,  # of the plan that the engine reads
        **options,
    ) -> Ran:
        options = {"threads": 2, "histories_per_beam": 30_000, **options}
        engine = MCsquare(MCsquareOptions(home=str(at), **options), {MACHINE: with_model}, {SCANNER: curve})
        plan = IonPlan("1", "FRAME", "2", "label", "maker", 30, (beam,))
        case = tmp_path / f"case {len(list(tmp_path.iterdir()))}"
        prepared = engine.case(PreparedCase(plan, ct))
        for name, data in prepared.files().items():
            (case / "input" / name).parent.mkdir(parents=True, exist_ok=True)
            (case / "input" / name).write_bytes(spoil(data) if name.endswith("plan.txt") else data)
        run_folder = case / "runs" / "token"
        run_folder.mkdir(parents=True)
        work = engine.job(JobRequest(beam.number)).work()
        code, log = do(work, run_folder)
        made = {name: (run_folder / name).read_bytes() for name in work.products if (run_folder / name).exists()}
        judged = engine.job(JobRequest(beam.number)).judge(code, looked_at(log), {k: len(v) for k, v in made.items()})
        dose = prepared.read_dose(beam.number, made, log) if isinstance(judged, Accepted) else None
        return Ran(judged, dose, log, code, run_folder)

    return run


def volume(grid: Grid, hu: float | np.ndarray = WATER) -> CTVolume:
    values = np.broadcast_to(np.asarray(hu, dtype=np.float32), grid.shape).copy()
    return CTVolume(grid, values, "FRAME", "3", (), SCANNER)


def field(*layers: tuple[float, list[tuple[float, float, float]]], **changes) -> Beam:
    """Layers of (MeV, [(x, y, weight)]); one MU per weight unless told otherwise."""
    made = tuple(Layer(e, np.array([s[:2] for s in spots]), np.array([s[2] for s in spots])) for e, spots in layers)
    total = float(sum(layer.weights.sum() for layer in made))
    return replace(Beam(1, "b", MACHINE, 0.0, 0.0, (0.0, 0.0, 0.0), total, total, made), **changes)


def accepted(ran: Ran) -> Dose:
    assert isinstance(ran.judged, Accepted), (ran.judged, ran.log)
    assert ran.dose is not None
    return ran.dose


def r80(depths: np.ndarray, dose: np.ndarray) -> float:
    """The depth beyond the peak where dose has fallen to 80 % of it, linear between bins."""
    peak = int(dose.argmax())
    below = peak + int(np.argmax(dose[peak:] < 0.8 * dose[peak]))
    return float(np.interp(0.8 * dose[peak], dose[[below, below - 1]], depths[[below, below - 1]]))


HALO_LOST = (
    b"100 100.305 0.665 86703300 0.948 3.985 0.0064 0.073 5.586 0.0065 -0.266 0.052 3.9 0.0451 0 2.3 0.0362 -0.22"
)
# PSTAR, liquid water, CSDA range in g/cm2 (NIST Standard Reference Database 124)
PSTAR = {90.0: 6.398, 100.0: 7.718, 125.0: 11.46, 150.0: 15.77, 175.0: 20.62, 200.0: 25.96, 225.0: 31.74}


@pytest.mark.parametrize("energy", seldom([103.0, 150.0, 200.0], often=[103.0]))
def test_range_in_water_is_the_csda_range_of_the_models_mean_energy(compute, model, energy):
    """R80 of a beam with a Gaussian energy spread is the range of its mean energy. Allowed: 0.5 mm (half a bin of 1 mm,
    statistics) and 0.2 % (range against path length, and the tables of two laboratories)."""
    mean = np.log(model.mean_energy(energy))
    csda = 10 * np.exp(np.interp(mean, np.log(list(PSTAR)), np.log(list(PSTAR.values()))))
    depth = int(csda) + 25
    grid = Grid((20, depth, 20), (-28.5, 0.5, -28.5), (3.0, 1.0, 3.0))  # the surface is at y = 0
    dose = accepted(compute(field((energy, [(0, 0, 1.0)])), volume(grid)))
    assert r80(grid.axes()[1], dose.gy.sum(axis=(0, 2))) == pytest.approx(csda, abs=0.5 + 0.002 * csda)


def overridden(beam: Beam, ct: CTVolume, home: Path, model: BeamModel, curve: Curve, *rois: Roi) -> CTVolume:
    """The CT that is computed for these structures."""
    engine = MCsquare(MCsquareOptions(home=str(home)), {MACHINE: model}, {SCANNER: curve})
    plan = IonPlan("1", "FRAME", "2", "label", "maker", 30, (beam,))
    prepared = prepare(plan, ct, StructureSet("4", ("FRAME",), (), (), rois), engine, PreparationOptions())
    assert prepared.problems == ()
    return prepared.case.ct


@pytest.mark.long
@pytest.mark.parametrize("scanned", [AIR, BONE])
@pytest.mark.parametrize("ratio", [1.0, 1.16])
def test_a_density_of_a_structure_gives_the_range_in_that_much_water(compute, home, model, scanned, ratio):
    """A slab with the stopping ratio of water, and one of PMMA's, drawn into air and into bone of a scanner's curve,
    against water of the engine's own table. The engine's materials differ in how their ratio falls with energy."""
    scanner = home / "Scanners" / "UCL_Toshiba"
    curve = parse_curve(
        (scanner / "HU_Density_Conversion.txt").read_bytes(),
        (scanner / "HU_Material_Conversion.txt").read_bytes(),
        NOBODY,
    )
    grid = Grid((20, 140, 20), (-28.5, 0.5, -28.5), (3.0, 1.0, 3.0))
    beam = field((125.0, [(0, 0, 1.0)]))
    corners = np.array([[-31.0, -1.0], [31.0, -1.0], [31.0, 141.0], [-31.0, 141.0]])
    slab = Roi(1, "slab", "ORGAN", (("REL_STOP_RATIO", ratio),), tuple((z, corners) for z in grid.axes()[0].tolist()))
    ct = overridden(beam, volume(grid, scanned), home, model, curve, slab)
    assert np.unique(ct.hu).size == 1
    found, water = (
        r80(grid.axes()[1], accepted(compute(beam, one, curve=c, histories_per_beam=100_000)).gy.sum(axis=(0, 2)))
        for one, c in ((ct, curve), (volume(grid), CURVE))
    )
    assert found * ratio == pytest.approx(water, abs=0.3)


def iec_to_dicom(point: tuple[float, float, float], gantry: float, couch: float) -> np.ndarray:
    """IEC 61217: from the gantry system through the fixed system to the table's, then to DICOM for a patient HFS."""
    g, c = np.radians(gantry), np.radians(couch)
    x, y, z = point
    fixed = np.array([x * np.cos(g) + z * np.sin(g), y, -x * np.sin(g) + z * np.cos(g)])
    table = np.array(
        [fixed[0] * np.cos(c) + fixed[1] * np.sin(c), -fixed[0] * np.sin(c) + fixed[1] * np.cos(c), fixed[2]]
    )
    return np.array([table[0], -table[2], table[1]])


ANGLES = [(0, 0), (90, 0), (270, 0), (180, 0), (0, 30), (90, 340), (215, 90)]


@pytest.mark.parametrize("angles", seldom(ANGLES, often=[(90, 340)]))
def test_an_off_axis_spot_lands_where_iec_61217_says(compute, angles):
    gantry, couch = angles
    """The centroid in the slab through the isocentre, and no dose 30 mm beyond it: 100 MeV reach 78 mm only."""
    grid = Grid((36, 48, 60), (-87.0, 33.5, 411.5), (2.0, 2.5, 3.0))
    isocenter = np.array([-26.0, 95.0, 467.0])
    beam = field(
        (100.0, [(9.0, -14.0, 1.0)]),
        gantry_angle=float(gantry),
        couch_angle=float(couch),
        isocenter=tuple(isocenter),
    )
    gy = accepted(compute(beam, volume(grid))).gy.astype(float)
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    away = np.stack([x, y, z], axis=-1) - isocenter
    upstream = away @ iec_to_dicom((0, 0, 1), gantry, couch)  # mm towards the source
    assert gy[upstream < -30].sum() < 0.01 * gy.sum()
    slab = np.where((abs(upstream) < 4) & (gy > 0.1 * gy[abs(upstream) < 4].max()), gy, 0)
    centroid = np.tensordot(slab, away, axes=3) / slab.sum()
    expected = iec_to_dicom((9.0, -14.0, 0), gantry, couch)
    beside = (centroid - expected) - (centroid - expected) @ iec_to_dicom((0, 0, 1), gantry, couch) * iec_to_dicom(
        (0, 0, 1), gantry, couch
    )
    assert np.abs(beside).max() < 0.5, (centroid, expected)


@pytest.mark.long
def test_a_cavity_shifts_the_range_of_the_one_spot_that_meets_it(compute):
    """Air at high x, low y, high z. A mirrored axis, of the CT alone, of the dose alone or of both, moves the long
    range to another place: the spots lie unevenly about the centre."""
    grid = Grid((40, 72, 40), (-39.0, 1.0, -39.0), (2.0, 2.0, 2.0))
    hu = np.zeros(grid.shape, dtype=np.float32)
    hu[20:, 5:20, 20:] = AIR  # 30 mm thick
    spots = [(x, y, 1.0) for x in (-22.0, 14.0) for y in (-14.0, 22.0)]
    gy = accepted(compute(field((105.0, spots)), volume(grid, hu), histories_per_beam=80_000)).gy
    zs, depths, xs = grid.axes()

    def reach(x: float, z: float) -> float:
        return r80(depths, gy[abs(zs - z) < 8][:, :, abs(xs - x) < 8].sum(axis=(0, 2)))

    plain = reach(-22, -14)
    assert reach(14, 22) == pytest.approx(plain + 30, abs=1.5)
    assert [reach(-22, 22), reach(14, -14)] == pytest.approx([plain, plain], abs=1.0)
    deep = gy[:, depths > plain + 15].sum(axis=1, dtype=float)
    assert (deep.sum(axis=0) @ xs) / deep.sum() == pytest.approx(14, abs=2)
    assert (deep.sum(axis=1) @ zs) / deep.sum() == pytest.approx(22, abs=2)


def energy_mev(dose: Dose, density: float) -> float:
    dx, dy, dz = dose.grid.spacing
    kg = density * 1e-6 * dx * dy * dz
    return float(dose.gy.sum(dtype=float)) * kg / 1.602176634e-13


@pytest.mark.long
def test_energy_balance_in_absolute_terms(compute, model):
    """What the protons bring stays, but for neutrons and photons that leave: a few percent, more at high energy.

    The layers' MU are unequal, and BeamMeterset is not the final cumulative weight: a dose weighted by MU in place
    of protons would be 5 % off, one in weights in place of MU 60 %."""
    grid = Grid((40, 80, 40), (-117.0, 2.0, -117.0), (6.0, 4.0, 6.0))
    beam = field((100.0, [(0, 0, 2.0)]), (200.0, [(0, 0, 1.0), (5, 5, 1.0)]), meterset=10.0)
    assert beam.final_cumulative_weight == 4
    dose = accepted(compute(beam, volume(grid)))
    brought = sum(5.0 * model.protons_per_mu(e) * model.mean_energy(e) for e in (100.0, 200.0))
    assert 0.93 < energy_mev(dose, 1.0) / brought < 0.97


SMALL = Grid((20, 45, 20), (-28.5, 2.0, -28.5), (3.0, 4.0, 3.0))


@pytest.mark.long
def test_dose_goes_with_beam_meterset_not_with_the_scale_of_the_weights(compute):
    once = field((120.0, [(-5, 0, 1.0), (5, 0, 3.0)]), meterset=10.0)
    layers = (replace(once.layers[0], weights=once.layers[0].weights * 7),)
    scaled = replace(once, layers=layers, final_cumulative_weight=28.0)
    doses = [
        accepted(compute(beam, volume(SMALL), threads=1, histories_per_beam=10_000)).gy
        for beam in (once, replace(once, meterset=25.0), scaled)
    ]
    assert doses[1] == pytest.approx(2.5 * doses[0], rel=1e-4)
    assert doses[2] == pytest.approx(doses[0], rel=1e-4)


@pytest.mark.long
def test_uncertainty_is_reported_and_falls_with_the_root_of_the_histories(compute):
    beam = field((120.0, [(0, 0, 1.0)]))
    few, many = (accepted(compute(beam, volume(SMALL), histories_per_beam=n)) for n in (10_000, 160_000))
    assert few.uncertainty is not None
    assert many.uncertainty is not None
    assert 3.0 < few.uncertainty / many.uncertainty < 5.3


@pytest.mark.long
def test_a_target_uncertainty_is_reached(compute):
    ran = compute(field((120.0, [(0, 0, 1.0)])), volume(SMALL), histories_per_beam=5_000, target_uncertainty=0.03)
    uncertainty = accepted(ran).uncertainty
    assert uncertainty is not None
    assert 0.02 < uncertainty <= 0.03


@pytest.mark.long
def test_dose_to_water_in_bone_is_larger_by_the_ratio_of_stopping_powers(compute):
    beam = field((120.0, [(0, 0, 1.0)]))
    entrance = {}
    for medium in (Medium.MEDIUM, Medium.WATER):
        dose = accepted(compute(beam, volume(SMALL, BONE), dose_to=medium))
        assert dose.dose_type.medium is medium
        entrance[medium] = dose.gy[:, :8].sum()
    assert 1.08 < entrance[Medium.WATER] / entrance[Medium.MEDIUM] < 1.18  # about 1.13 (ICRU 49, cortical bone)


def test_a_home_with_spaces_and_quotes_works(compute, home, tmp_path):
    odd = tmp_path / "the physicist's engine $HOME"
    odd.symlink_to(home.resolve())
    accepted(compute(field((100.0, [(0, 0, 1.0)])), volume(SMALL), at=odd, histories_per_beam=2_000))


def test_a_beam_model_with_crlf_would_give_nothing_and_is_refused(compute, model):
    damaged = replace(model, text=model.text.replace(b"\n", b"\r\n"))
    ran = compute(field((100.0, [(0, 0, 1.0)])), volume(SMALL), with_model=damaged, histories_per_beam=2_000)
    assert ran.code == 0  # the engine is content
    assert isinstance(ran.judged, Refused)
    assert "outside the CT" in ran.judged.why


WIDE = Grid((40, 40, 40), (-97.5, -97.5, -97.5), (5.0, 5.0, 5.0))  # with 40 mm of air on each side


@pytest.mark.parametrize(("x", "words"), [(0.0, ""), (500.0, "100 % of the protons started outside the CT")])
def test_a_ct_with_wide_air_is_computed_and_a_field_beside_it_is_refused(compute, x, words):
    z, y, xs = np.meshgrid(*WIDE.axes(), indexing="ij")
    hu = np.where(np.maximum(np.maximum(abs(xs), abs(y)), abs(z)) < 60, WATER, AIR)
    ran = compute(field((120.0, [(x, 0, 1.0)])), volume(WIDE, hu), histories_per_beam=2_000)
    assert ran.code == 0
    if words:
        assert isinstance(ran.judged, Refused)
        assert words in ran.judged.why
        return
    accepted(ran)
    assert isinstance(ran.judged, Accepted)
    assert ran.judged.facts["outside"] < 0.01 * ran.judged.facts["histories"]


def test_the_models_that_come_with_the_engine_are_accepted(home):
    models = [parse_beam_model(path.read_bytes(), NOBODY) for path in sorted((home / "BDL").glob("*.txt"))]
    assert [len(model.nominal) for model in models] == [26, 26]


def test_a_gaussian_without_correlation_would_be_lost_without_a_word(compute, model):
    """The halo, 5 % of the protons: few enough that the engine's log alone is no reason to refuse the dose."""
    blind = replace(model, text=re.sub(rb"(?m)^100\.000.*", HALO_LOST, model.text))
    ran = compute(field((100.0, [(0, 0, 1.0)])), volume(SMALL), with_model=blind, histories_per_beam=2_000)
    assert isinstance(ran.judged, Accepted), ran.judged
    assert ran.judged.facts["outside"] > 0.04 * ran.judged.facts["histories"]
    with pytest.raises(ValueError, match="Correlation2x is 0"):
        parse_beam_model(blind.text, NOBODY)


def test_a_home_without_materials_is_refused_without_another_try(compute, home, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "MCsquare_linux").symlink_to((home / "MCsquare_linux").resolve())
    ran = compute(field((100.0, [(0, 0, 1.0)])), volume(SMALL), at=bare)
    assert isinstance(ran.judged, Refused)
    assert "Material database not found" in ran.judged.why
    assert not ran.judged.retryable


def test_what_the_host_needs_is_found_in_a_good_home_and_missed_in_a_bad_one(home, tmp_path):
    def results(at: Path) -> list[bool]:
        return [_there(need) for need in MCsquare(MCsquareOptions(home=str(at)), {}, {}).needs()]

    assert results(home) == [True] * 4
    assert not any(results(tmp_path / "no where"))


def _there(need: Need) -> bool:
    path = Path(need.what)
    if need.kind == "sha256":
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == need.sha256
    if need.kind == "starts":
        if not path.is_file():
            return False
        output = subprocess.run(
            [path, *need.arguments], capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )
        return re.search(need.says, output.stdout) is not None
    return os.access(path, os.X_OK if need.kind == "executable" else os.R_OK)


@pytest.mark.long
@pytest.mark.parametrize("energy", [100.0, 150.0, 200.0])
def test_a_spot_in_air_has_the_size_that_lines_are_cut_by(compute, model, energy):
    """The core of the profile in a sheet of water at the isocentre, of which y is the narrower axis in this model."""
    grid = Grid((60, 3, 60), (-29.5, -1.0, -29.5), (1.0, 1.0, 1.0))
    gy = accepted(compute(field((energy, [(0, 0, 1.0)])), volume(grid), histories_per_beam=100_000)).gy.astype(float)
    at, _, _ = grid.axes()

    def shape(u, high, sigma, low, halo):
        return high * np.exp(-(u**2) / (2 * sigma**2)) + low * np.exp(-(u**2) / (2 * halo**2))

    def core(profile):
        top = float(profile.max())
        start, limits = (top, 4.0, 0.02 * top, 20.0), ((0, 1, 0, 12), (2 * top, 10, 0.2 * top, 80))
        return abs(curve_fit(shape, at, profile, start, bounds=limits)[0][1])

    assert min(core(gy.sum(axis=(0, 1))), core(gy.sum(axis=(1, 2)))) == pytest.approx(
        model.spot_sigma(energy), rel=0.03
    )


WAYS = (  # x, y (mm), and the weight that is delivered on the way to it
    ((-20.0, -10.0), 0.0),
    ((20.0, -10.0), 4.0),
    ((20.0, 0.0), 0.0),
    ((-5.0, 0.0), 2.0),
    ((-5.0, 15.0), 1.5),
    ((12.0, 14.0), 0.0),
    ((12.0, 14.0), 0.5),
)


def write_lines(folder: Path, mode: str) -> Path:
    """A plan of one layer, with these lines, as the standard has them (LINEAR) or in private elements (LINE)."""
    plan = pydicom.dcmread(io.BytesIO(sample_files("pass", "tiny")["RP.dcm"]))
    plan.IonBeamSequence, plan.FrameOfReferenceUID = plan.IonBeamSequence[:1], ""
    group = plan.FractionGroupSequence[0]
    group.ReferencedBeamSequence, group.NumberOfBeams = group.ReferencedBeamSequence[:1], 1
    group.ReferencedBeamSequence[0].BeamMeterset = 4.0
    (beam,) = plan.IonBeamSequence
    beam.TreatmentMachineName, beam.FinalCumulativeMetersetWeight = MACHINE, 8.0
    beam.IonControlPointSequence, beam.NumberOfControlPoints = beam.IonControlPointSequence[:2], 2
    beam.IonControlPointSequence[0].IsocenterPosition = [0.0, 0.0, 0.0]
    for index, point in enumerate(beam.IonControlPointSequence):
        places = np.array([xy for xy, _ in WAYS], "<f4").ravel()
        weights = np.array([0.0 if index else weight for _, weight in WAYS], "<f4")
        point.NominalBeamEnergy, point.CumulativeMetersetWeight = 120.0, 8.0 * index
        if mode == "LINE":
            del point.ScanSpotPositionMap, point.ScanSpotMetersetWeights, point.NumberOfScanSpotPositions
            block = point.private_block(0x300B, "IMPAC", create=True)
            block.add_new(0x94, "OB", places.tobytes())
            block.add_new(0x96, "OB", weights.tobytes())
        else:
            point.NumberOfScanSpotPositions = len(WAYS)
            point.ScanSpotPositionMap, point.ScanSpotMetersetWeights = places.tolist(), weights.tolist()
    beam.ScanMode = "LINE" if mode == "LINE" else "MODULATED_SPEC"
    beam.ModulatedScanModeType = None if mode == "LINE" else "LINEAR"
    plan.save_as(folder / "RP.dcm")
    return folder / "RP.dcm"


def dense_spots() -> list[tuple[float, float, float]]:
    """The same lines as 400 spots each, each at a random place of its own 400th part."""
    chance = np.random.default_rng(5)
    spots = []
    for (start, _), (end, weight) in itertools.pairwise(WAYS):
        for share in (np.arange(400) + chance.random(400)) / 400 if weight else ():
            x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
            spots.append((x, y, weight / 400))
    return spots


@pytest.mark.long
def test_lines_have_the_dose_of_spots_that_are_dense_on_them(compute, home, model, tmp_path):
    """4 MU either way. Range, and the profiles across the beam before the peak, in absolute numbers.

    Noise of a bin of 6 mm: 0.5 % of the maximum.
    """
    grid = Grid((26, 130, 26), (-37.5, 0.5, -37.5), (3.0, 1.0, 3.0))
    ct, curve = volume(grid), parse_curve(DENSITY, MATERIAL, NOBODY)
    engine = MCsquare(MCsquareOptions(home=str(home)), {MACHINE: model}, {SCANNER: curve})
    plans = [sound_plan(write_lines(tmp_path, mode)) for mode in ("LINE", "LINEAR")]
    beams = [prepare(plan, ct, None, engine, PreparationOptions()).case.plan.beams[0] for plan in plans]
    assert np.array_equal(*(beam.layers[0].spots for beam in beams))
    assert np.array_equal(*(beam.layers[0].weights for beam in beams))
    dense = field((120.0, dense_spots()), meterset=4.0)
    lines, spots = (accepted(compute(one, ct, histories_per_beam=500_000)).gy for one in (beams[0], dense))
    depths = grid.axes()[1]
    assert r80(depths, lines.sum(axis=(0, 2))) == pytest.approx(r80(depths, spots.sum(axis=(0, 2))), abs=0.3)
    for across in (0, 2):
        mine, other = (gy[:, 5:85].sum(axis=(1, across)).reshape(-1, 2).sum(axis=1) for gy in (lines, spots))
        assert np.abs(mine - other).max() < 0.02 * other.max()
