"""Cost of judging logs: CPU time of `mqi delivery`'s work on a made-up delivery of 200 layers with 65 000 rows each.

The layers are lines of 100 mm, 5 mm apart; a row has noise of 0.1 mm in its position and of 1 % in its counts. The same
bytes read once, hashed and summed by numpy are the least that any reader could do.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mqi_communicator.demo.sample_logs import CALIBRATION
from mqi_communicator.dicom.records import Beam, IonPlan, Layer, LayerKind
from mqi_communicator.results.delivered.judge import judge_fraction
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.verdict import Verdict
from mqi_communicator.treatment.files import read_deliveries
from mqi_communicator.treatment.fractions import by_fraction
from mqi_communicator.treatment.join import join
from mqi_communicator.treatment.sumitomo.layer_files import BEAM_ON, LOG_ROW, MAP_ROW

LAYERS, ROWS = 200, 65_000
_SIDE, _APART = 100.0, 5.0  # mm
_MU = 20.0  # of a layer
_NOISE_MM, _NOISE = 0.1, 0.01
_STARTED = "2020010209000000"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU: read, joined and judged; and the bytes read, hashed and summed."""

    mine_s: float
    least_s: float
    megabytes: float
    verdict: Verdict


def measure(folder: Path, layers: int = LAYERS) -> Cost:
    """Write the logs into a new folder, and judge them."""
    plan = _plan(layers)
    size = _write(folder / _STARTED, plan)
    begun = time.process_time()
    verdict = _judged(folder, plan)
    mine = time.process_time() - begun
    begun = time.process_time()
    for path in (folder / _STARTED).iterdir():
        data = path.read_bytes()
        hashlib.sha256(data).digest()
        if path.suffix == ".ptn":
            np.frombuffer(data, dtype=">u2").astype(np.float64).sum()
    return Cost(mine, time.process_time() - begun, size / 1e6, verdict)


def _judged(folder: Path, plan: IonPlan) -> Verdict:
    deliveries, refused = read_deliveries([folder], plan, {plan.beams[0].machine: CALIBRATION})
    assert not refused, refused
    beams, contradictions = join(plan, deliveries[0])
    assert not contradictions, contradictions
    (fraction,) = by_fraction(beams, plan.beams)
    return judge_fraction(fraction, plan, JudgementOptions())


def _plan(layers: int) -> IonPlan:
    lines = int(_SIDE / _APART) + 1
    corners = [
        (x, _APART * line - _SIDE / 2)
        for line in range(lines)
        for x in ((-_SIDE / 2, _SIDE / 2) if line % 2 == 0 else (_SIDE / 2, -_SIDE / 2))
    ]
    spots = np.asarray(corners)
    weights = np.hypot(*np.diff(spots, axis=0, prepend=spots[:1]).T)
    weights *= _MU / weights.sum()
    made = tuple(Layer(70.0 + 0.5 * i, spots, weights, LayerKind.LINES, size=(9.0, 9.0)) for i in range(layers))
    beam = Beam(1, "B1", "BENCH", 0.0, 0.0, (0.0, 0.0, 0.0), _MU * layers, _MU * layers, made)
    return IonPlan("1.2.3", "1.2.4", "1.2.5", "", "", 1, (beam,), study_uid="1.2.6")


def _write(folder: Path, plan: IonPlan) -> int:
    """The logs of the whole beam; how many bytes they have."""
    folder.mkdir(parents=True)
    (beam,) = plan.beams
    log, given = _log(beam.layers[0]), _map(beam.layers[0].spots)
    info = ["DICOM_STUDY_INS_UID,1.2.6", "DICOM_BEAM_NUMBER,1", f"TCSC_IRRAD_DATETIME,{_STARTED}"]
    info += ["START_LAYER_NUMBER,1", f"STOP_LAYER_NUMBER,{len(beam.layers)}"]
    (folder / "PlanInfo.txt").write_text("\n".join(info))
    rows = ["LAYER_NO,LAYER_ENERGY,DOSE1_RANGE,DOSE2_RANGE,SCAN_OUT_FL_NM,PLAN_SCAN_OUT_FL_NM"]
    for number, layer in enumerate(beam.layers, start=1):
        rows.append(f"{number},{layer.energy:g},3,3,{number}.ptn,{number}.mgn")
        (folder / f"{number}.ptn").write_bytes(log)
        (folder / f"{number}.mgn").write_bytes(given)
    (folder / "PlanRange.txt").write_text("\n".join(rows))
    return len(beam.layers) * (len(log) + len(given))


def _log(layer: Layer) -> bytes:
    random = np.random.default_rng(1)
    done = np.concatenate([[0.0], np.cumsum(layer.weights[1:])])
    share = (np.arange(ROWS) + 0.5) / ROWS * _MU
    places = np.stack([np.interp(share, done, layer.spots[:, axis]) for axis in (0, 1)], axis=1)
    places += random.normal(0.0, _NOISE_MM, places.shape)
    raw = np.rint(places / CALIBRATION.gain_mm + CALIBRATION.offset)
    counts = _MU * CALIBRATION.counts_per_mu / CALIBRATION.range_factors[3] / ROWS
    made = np.zeros(ROWS, dtype=LOG_ROW)
    made["x"], made["y"] = raw[:, 0], raw[:, 1]
    made["sx"], made["sy"] = (np.rint(9.0 / gain) for gain in CALIBRATION.gain_mm)
    made["dose1"] = np.rint(counts * (1 + random.normal(0.0, _NOISE, ROWS)))
    made["dose2"] = np.rint(0.97 * counts * (1 + random.normal(0.0, _NOISE, ROWS)))
    made["state"] = BEAM_ON
    return made.tobytes()


def _map(spots: NDArray[np.float64]) -> bytes:
    made = np.zeros(len(spots) + 2, dtype=MAP_ROW)
    raw = np.rint(spots / CALIBRATION.planned_gain_mm + CALIBRATION.planned_offset)
    made["x"], made["y"] = CALIBRATION.planned_offset
    made["x"][1:-1], made["y"][1:-1] = raw[:, 0], raw[:, 1]
    return made.tobytes()
