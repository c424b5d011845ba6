"""The stage for line scanning, and what engines do with its spots and with lines that are left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from tests.beamdata import TABLE
from tests.standin.small import SIGNED, beam, machine, moqui, plan, volume

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, Delivery, Layer, LayerKind
from mqi_communicator.dose.engine import DoseEngine, PreparedCase
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.mcsquare.engine import MCsquare
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve
from mqi_communicator.dose.prepare.draft import Draft
from mqi_communicator.dose.prepare.lines import cut_lines
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import prepare, refusals
from mqi_communicator.dose.rays import beam_path_of

pytestmark = pytest.mark.pure

OPTIONS = PreparationOptions()
SIGMA = 3.0  # mm
SERPENTINE = ((-10, -4, 0.0), (11, -4, 2.0), (11, 4, 0.0), (-10, 4, 2.0), (-10, 4, 1.0))


def lines(energy: float = 150.0, rows=SERPENTINE) -> Layer:
    array = np.array(rows, dtype=float)
    return Layer(energy, array[:, :2], array[:, 2], LayerKind.LINES)


def scanned(*layers: Layer, **changes) -> Beam:
    made = layers or (lines(), lines(150.0), lines(120.0))
    total = float(sum(layer.weights.sum() for layer in made))
    delivery = Delivery(scan_mode="MODULATED_SPEC", scan_type="LINEAR")
    return beam(layers=made, final_cumulative_weight=total, delivery=delivery, **changes)


class Known:
    """Models with one spot size for every machine."""

    def __init__(self, sigma: Callable[[float], float] | None) -> None:
        self.model: MachineModel | None = MachineModel((2000.0, 2000.0), sigma)

    def machine(self, _beam: Beam) -> MachineModel | None:
        return self.model

    def tube_voltage(self, _ct):
        return None

    def ratio(self, _ct):
        return None


def cut(*beams: Beam, sigma: Callable[[float], float] | None = lambda _energy: SIGMA) -> Draft:
    return cut_lines(Draft(plan(*beams), volume(), None), Known(sigma), OPTIONS)


def test_a_layer_of_lines_becomes_one_of_spots():
    one = scanned()
    got = cut(one).plan.beams[0]
    assert [layer.energy for layer in got.layers] == [150, 150, 120]
    assert {(layer.kind, layer.cut) for layer in got.layers} == {(LayerKind.SPOTS, True)}
    assert (got.delivery.scan_mode, got.delivery.scan_type) == ("MODULATED", "")
    assert replace(got, layers=one.layers, delivery=one.delivery) == one
    for layer in got.layers:
        assert len(layer.weights) == 22 + 22 + 1  # 21 mm in pieces shorter than 1 mm, and a spot
        assert layer.weights.sum() == pytest.approx(5.0, rel=1e-9)
        assert np.linalg.norm(np.diff(layer.spots[:22], axis=0), axis=1).max() < SIGMA / 3


def test_each_energy_has_its_own_pieces():
    got = cut(scanned(lines(200.0), lines(100.0)), sigma=lambda energy: 300 / energy).plan.beams[0]
    assert [len(layer.weights) for layer in got.layers] == [43 + 43 + 1, 22 + 22 + 1]


def test_spots_stay_as_they_are():
    spots = beam()
    draft = cut(spots, scanned(number=5))
    assert draft.plan.beams[0] is spots
    assert [one.scope for one in draft.cautions] == ["beam 5"]


def test_a_verdict_notes_lines_pieces_and_sigma():
    (one,) = cut(scanned()).cautions
    assert (one.name, one.scope, one.review, one.unit) == ("line_scanning", "beam 3", False, "mm")
    assert one.value == pytest.approx(21 / 22)
    assert "9 lines were computed as 135 spots" in one.note
    assert "up to 0.95 mm long, where sigma is 3.00 mm (150 MeV)" in one.note


@pytest.mark.parametrize("sigma", [lambda _: float("nan"), lambda _: 0.0, lambda _: float("inf")])
def test_at_an_energy_without_a_spot_size_lines_stay(sigma):
    one = scanned()
    draft = cut(one, sigma=sigma)
    assert draft.plan.beams[0] is one
    assert draft.problems == draft.cautions == ()


def test_lines_of_a_machine_that_is_not_configured_stay():
    one = scanned()
    models = Known(None)
    models.model = None
    draft = cut_lines(Draft(plan(one), volume(), None), models, OPTIONS)
    assert draft.plan.beams[0] is one
    assert draft.problems == draft.cautions == ()


@pytest.mark.parametrize(
    "odd",
    [
        replace(lines(), spots=np.empty((0, 2))),
        lines(rows=((0, 0, 0), (np.nan, 0, 1))),
        lines(rows=((0, 0, 0), (1, 0, np.nan))),
        lines(rows=((0, 0, 0), (1, 0, -1))),
        lines(rows=((0, 0, 0), (1e30, 0, 1))),
        lines(rows=((0, 0, 1), (1, 0, 1))),
        lines(float("nan")),
    ],
    ids=["no positions", "position", "weight", "negative", "far", "first weight", "energy"],
)
def test_what_no_plan_has_is_left_to_the_checks(odd):
    got = cut(scanned(odd, lines()), sigma=lambda energy: 3.0 if energy > 0 else float("nan")).plan.beams[0]
    assert got.layers[0] is odd
    assert got.layers[1].kind is LayerKind.SPOTS
    assert got.delivery.scan_mode == "MODULATED_SPEC"


def test_too_many_pieces_are_refused_before_they_are_made():
    far = lines(rows=[((-1) ** i * 3000.0, 0.0, float(i > 0)) for i in range(2000)])
    draft = cut(scanned(far, far))
    assert [one.code for one in draft.problems] == ["dose.lines"]
    assert "would be cut into 2.4e+07 spots, expected at most 5e+06" in str(draft.problems[0])
    assert draft.plan.beams[0].layers[0].kind is LayerKind.LINES


def mcsquare(**changes) -> DoseEngine:
    curve = parse_curve(b"-1000 0\n0 1\n", b"-1000 13\n0 17\n", SIGNED)
    models = {"G1": replace(parse_beam_model(TABLE, SIGNED), **changes)}
    return MCsquare(MCsquareOptions(home="/opt/mc"), models, {"Maker|Model|Room": curve})


def files_of(engine: DoseEngine, one: Beam) -> dict[str, bytes]:
    return dict(engine.case(prepare(plan(one), volume(), None, engine, OPTIONS).case).files())


def test_mcsquare_gets_pieces_and_every_layer_of_one_energy():
    text = files_of(mcsquare(), scanned())["beam-3/plan.txt"].decode().splitlines()
    after = [text[i + 1] for i, line in enumerate(text) if line == "####Energy (MeV)"]
    assert after == ["150", "150", "120"]
    rows = [line.split() for line in text[text.index("#SPOTS-DESCRIPTION") :] if not line.startswith("#")]
    spots = np.array([row for row in rows if len(row) == 3], dtype=float)
    assert spots[:, 2].sum() == pytest.approx(50.0, rel=1e-6)
    own = prepare(plan(scanned()), volume(), None, mcsquare(), OPTIONS).case.beam(3)
    assert np.array_equal(spots[:, :2].round(6), np.concatenate([layer.spots for layer in own.layers]).round(6))


@pytest.mark.parametrize("flavour", ["upstream", "fork"])
def test_moqui_gets_pieces_and_every_layer_of_one_energy(flavour):
    declared = {"G1": replace(machine(flavour), spot_sigma=None if flavour == "upstream" else 4.0)}
    files = files_of(moqui(declared, flavour=flavour, histories_per_beam=1000, seeds=1), scanned())
    points = pydicom.dcmread(BytesIO(files["common/dicom/RP.dcm"])).IonBeamSequence[2].IonControlPointSequence
    assert [float(point.NominalBeamEnergy) for point in points] == [150, 150, 150, 150, 120, 120]
    assert sum(sum(point.ScanSpotMetersetWeights) for point in points) == pytest.approx(50.0, rel=1e-6)
    if flavour == "fork":
        names = sorted(name for name in files if name.startswith("common/spots/3/"))
        assert [name.split("/")[-1] for name in names] == ["01_150.00MeV.csv", "02_150.00MeV.csv", "03_120.00MeV.csv"]
        assert len(files[names[0]].split(b",")) == 4 * len(points[0].ScanSpotMetersetWeights)


def test_each_piece_gets_20_histories_of_moqui():
    weak = lines(rows=((0, 0, 0), (20, 0, 1000.0), (40, 0, 1.0)))
    engine = moqui(histories_per_beam=1000, seeds=1)
    prepared = prepare(plan(scanned(weak)), volume(), None, engine, OPTIONS)
    (layer,) = prepared.case.beam(3).layers
    asked = engine.case(prepared.case).files()["beam-3/input-run1-gpus1.txt"].decode()
    per_history = float(next(line.split()[1] for line in asked.splitlines() if line.startswith("ParticlesPerHistory")))
    model = machine().model
    ratio = np.interp(150.0, model.energies, model.ratios)
    histories = np.floor(layer.weights * 50 / 1001 * ratio / per_history)
    assert histories.min() >= 20
    few = moqui(histories_per_beam=1000, seeds=1, max_histories_per_beam=10_000)
    with pytest.raises(DicomProblem, match=r"its weakest piece of a line has .* to give it 20 histories") as caught:
        few.case(prepared.case).files()
    assert caught.value.code == "dose.histories"


@pytest.mark.parametrize(
    ("engine", "sent"),
    [
        (mcsquare(table={}), False),
        (moqui(flavour="clinic"), False),
        (moqui({"G1": machine("clinic", spot_sigma=3.5)}, flavour="clinic"), True),
        (mcsquare(), True),
        (moqui(), True),
    ],
    ids=["mcsquare, no optics", "clinic", "clinic, declared", "mcsquare", "upstream"],
)
def test_lines_are_computed_where_the_spot_size_is_known_and_refused_elsewhere(engine, sent):
    one = scanned()
    found = refusals(engine, OPTIONS, plan(one), volume(), None)
    if sent:
        assert found == ()
        return
    assert [one.code for one in found] == ["dose.lines"]
    assert "beam 3 (canary): line scanning cannot be computed: the spot size of machine G1 is not known" in str(
        found[0]
    )
    assert "spot_sigma" in found[0].advice
    with pytest.raises(DicomProblem, match="were not cut into spots"):
        files_of(engine, one)


@pytest.mark.parametrize("engine", [mcsquare(), moqui()], ids=["mcsquare", "moqui"])
def test_lines_that_no_stage_has_cut_are_never_computed_as_spots(engine):
    with pytest.raises(DicomProblem, match="the lines of 3 of 3 layers were not cut into spots"):
        engine.case(PreparedCase(plan(scanned()), volume())).files()


def test_an_energy_outside_the_model_is_the_one_reason():
    found = refusals(mcsquare(), OPTIONS, plan(scanned(lines(240.0))), volume(), None)
    assert [one.code for one in found] == ["dose.energy"]


def test_the_path_of_lines_has_both_ends_and_what_is_between():
    one = beam_path_of(scanned(lines(rows=((-100, 0, 0), (100, 0, 1), (100, 60, 0), (90, 60, 1)))), (2000, 2000)).spots
    assert [-100, 0] in one.tolist()
    assert [100, 60] in one.tolist()
    along = np.sort(one[one[:, 1] == 0][:, 0])
    assert np.diff(along).max() <= 5
    assert not ((one[:, 1] > 0) & (one[:, 1] < 60)).any()
