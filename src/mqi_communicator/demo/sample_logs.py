"""Writes deliveries as the logs of a Sumitomo machine: a folder for each beam of each session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.delivered import Part, Session, SpotLayer
from mqi_communicator.dicom.records import LayerKind
from mqi_communicator.treatment.sumitomo.layer_files import BEAM_ON, LOG_ROW, MAP_ROW
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.dicom.records import IonPlan

    Doubles = NDArray[np.float64]

CALIBRATION = SumitomoOptions(
    offset=(24580, 32772),
    gain_mm=(0.00726, 0.0071411),
    planned_gain_mm=(0.005445, 0.0071411),
    counts_per_mu=4.67e7,
    range_factors={2: 1.0, 3: 2.978723, 4: 8.936170, 5: 26.808511},
    commissioned_by="MQI SAMPLE",
    commissioned_on=date(2020, 1, 1),
)
"""Of the machine that writes the samples."""

_COLUMNS = (
    "RESULT_ID",
    "LAYER_NO",
    "LAYER_ENERGY",
    "PATIENT_ID",
    "FLD_NO",
    "DOSE1_RANGE",
    "DOSE2_RANGE",
    "SCAN_OUT_FL_NM",
    "PLAN_SCAN_OUT_FL_NM",
)
_RANGE = 3  # code of the dose range
_PLANNED_ON = 1 << 15
_RAIL = 65200  # raw x where the beam is off
_MOST_COUNTS = 40_000  # of a row
_STEP = 0.4  # mm between rows of a line, at most
_SECOND = 0.97  # of the second monitor to the first
_OFF_ROWS = 3  # with the beam off, after each spot and each way


def write_logs(folder: Path, session: Session, plan: IonPlan, kind: str = "") -> None:
    """Write the folders of a session below `folder`. `kind`: one of LOG_KINDS, of what is wrong with the first."""
    for number, part in enumerate(session.parts):
        started = f"202001{session.fraction + 1:02}09{session.minute + number:02}0000"
        target = folder / started
        target.mkdir(parents=True)
        mirrored = session.plan_uid != plan.sop_instance_uid
        _write_part(target, part, started, plan.study_uid, mirrored=mirrored)
        if number == 0 and kind:
            LOG_KINDS[kind][0](target)


def _write_part(target: Path, part: Part, started: str, study_uid: str, *, mirrored: bool) -> None:
    first, last = part.layers[0].index + 1, part.layers[-1].index + 1
    info = {
        "DICOM_PATIENT_ID": "MQI-SAMPLE",
        "DICOM_STUDY_INS_UID": study_uid,
        "DICOM_BEAM_NUMBER": part.beam.own_number,
        "TCSC_IRRAD_DATETIME": started,
        "TCSC_PATIENT_ID": "1",
        "START_LAYER_NUMBER": first,
        "STOP_LAYER_NUMBER": last,
        "SHARE_DIR": "\\\\TCSC\\SHARE",
    }
    (target / "PlanInfo.txt").write_text("".join(f"{key},{value}\r\n" for key, value in info.items()))
    rows = [",".join(_COLUMNS)]
    for layer in part.layers:
        name = f"G2_{started[-6:]}_1_{part.beam.own_number}_{layer.index + 1}"
        rows.append(f"1,{layer.index + 1},{layer.energy:g},1,1,{_RANGE},{_RANGE},{name}.ptn,{name}.mgn")
        sign = -1 if mirrored else 1
        lines = layer.planned.kind is LayerKind.LINES
        (target / f"{name}.ptn").write_bytes(_log(layer, sign, lines=lines))
        (target / f"{name}.mgn").write_bytes(_map(sign * layer.planned.spots))
    (target / "PlanRange.txt").write_text("\r\n".join(rows) + "\r\n")


def _log(layer: SpotLayer, sign: int, *, lines: bool) -> bytes:
    """The rows of a layer. Counts are rounded so that their sum is kept."""
    positions = sign * layer.positions
    start = np.concatenate([positions[:1], positions[:-1]]) if lines else positions
    lengths = np.hypot(*(positions - start).T)
    counts = layer.mu * CALIBRATION.counts_per_mu / CALIBRATION.range_factors[_RANGE]
    rows = np.maximum(np.ceil(counts / _MOST_COUNTS), np.ceil(lengths / _STEP)).astype(np.int64)
    rows = np.where(counts > 0, np.maximum(rows, 1), 0)
    spot = np.repeat(np.arange(len(rows)), rows)
    share = (np.arange(len(spot)) - np.repeat(np.cumsum(rows) - rows, rows) + 0.5) / rows[spot]
    places = start[spot] + share[:, np.newaxis] * (positions - start)[spot]
    done = np.rint(np.cumsum(counts[spot] / rows[spot]))
    made = np.zeros(len(spot) + _OFF_ROWS * len(rows), dtype=LOG_ROW)
    made["x"], made["layer"] = _RAIL, 1
    lit = np.arange(len(spot)) + _OFF_ROWS * (spot + 1)
    raw = np.rint(places / CALIBRATION.gain_mm + CALIBRATION.offset)
    made["x"][lit], made["y"][lit] = raw[:, 0], raw[:, 1]
    made["sx"][lit], made["sy"][lit] = (np.rint(layer.size[i] / CALIBRATION.gain_mm[i]) for i in (0, 1))
    made["dose1"][lit] = np.diff(done, prepend=0.0)
    made["dose2"][lit] = np.rint(_SECOND * made["dose1"][lit])
    made["state"][lit] = _PLANNED_ON | BEAM_ON
    return made.tobytes()


def _map(spots: Doubles) -> bytes:
    """The planned positions, between two at the isocentre."""
    made = np.zeros(len(spots) + 2, dtype=MAP_ROW)
    raw = np.rint(spots / CALIBRATION.planned_gain_mm + CALIBRATION.planned_offset)
    made["x"], made["y"] = CALIBRATION.planned_offset
    made["x"][1:-1], made["y"][1:-1] = raw[:, 0], raw[:, 1]
    made["us"] = 100 * np.arange(len(made))
    return made.tobytes()


def _first(target: Path, pattern: str) -> Path:
    return min(target.glob(pattern))


def _truncated(target: Path) -> None:
    path = _first(target, "*.ptn")
    path.write_bytes(path.read_bytes()[:-7])


def _unknown_range(target: Path) -> None:
    path = target / "PlanRange.txt"
    path.write_text(path.read_text().replace(f",{_RANGE},{_RANGE},", f",1,{_RANGE},", 1))


def _off_the_rails(target: Path) -> None:
    path = _first(target, "*.ptn")
    rows = np.frombuffer(path.read_bytes(), dtype=LOG_ROW).copy()
    rows["x"][np.flatnonzero(rows["dose1"])[0]] = _RAIL
    path.write_bytes(rows.tobytes())


def _missing_log(target: Path) -> None:
    _first(target, "*.ptn").unlink()


def _other_monitor(target: Path) -> None:
    path = _first(target, "*.ptn")
    rows = np.frombuffer(path.read_bytes(), dtype=LOG_ROW).copy()
    rows["dose2"] = 0.9 * rows["dose2"]
    path.write_bytes(rows.tobytes())


def _other_monitor_in_part(target: Path) -> None:
    """A fifth of the rows of a layer; the ratio of the whole layer changes by less than 1 %."""
    path = _first(target, "*.ptn")
    rows = np.frombuffer(path.read_bytes(), dtype=LOG_ROW).copy()
    lit = np.flatnonzero(rows["dose1"])
    part = lit[len(lit) // 2 : len(lit) // 2 + len(lit) // 5]
    rows["dose2"][part] = np.rint(0.96 * rows["dose2"][part])
    path.write_bytes(rows.tobytes())


LOG_KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated-log": (_truncated, "logs: a .ptn file that is cut"),
    "missing-log": (_missing_log, "logs: a .ptn file is missing"),
    "unknown-range": (_unknown_range, "logs: a dose range with an unknown code"),
    "off-rails": (_off_the_rails, "logs: a row with the beam on and no position"),
    "other-monitor": (_other_monitor, "logs: the second monitor of a layer differs"),
    "other-monitor-in-part": (_other_monitor_in_part, "logs: the second monitor differs in a part of a layer"),
}
"""What can be wrong with logs alone, with a one-line description each."""
