"""Reads the two text files of a delivery: which beam it is of, and which files its layers have."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.dicom.problem import printable

PLAN_INFO, PLAN_RANGE = "PlanInfo.txt", "PlanRange.txt"
_MOST = 1 << 20  # bytes of a text file
_COLUMNS = ("LAYER_NO", "LAYER_ENERGY", "DOSE1_RANGE", "DOSE2_RANGE", "SCAN_OUT_FL_NM", "PLAN_SCAN_OUT_FL_NM")
Report = Callable[[str, str], None]  # code and what was found
Digests = dict[str, bytes]  # SHA-256 of each file that was read, by name


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """What PlanInfo.txt has of a delivery."""

    study_uid: str
    patient_id: str  # never logged
    beam: int  # BeamNumber of the plan
    started: str  # YYYYMMDDHHMMSS...
    first: int  # number of the first layer, from 1
    last: int


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """One row of PlanRange.txt."""

    number: int
    energy: float  # MeV
    ranges: tuple[int, int]  # codes of the dose ranges of both monitors
    log: str  # name of the .ptn
    planned: str  # name of the .mgn


def read_plan_info(folder: Path, report: Report, digests: Digests) -> PlanInfo | None:
    """Read PlanInfo.txt; None, and what is wrong, if it cannot be used. `digests` gets its SHA-256."""
    text = _text(folder / PLAN_INFO, report, digests)
    if text is None:
        return None
    values = {key.strip(): value.strip() for line in text.splitlines() for key, _, value in [line.partition(",")]}
    try:
        return PlanInfo(
            study_uid=values["DICOM_STUDY_INS_UID"],
            patient_id=values["DICOM_PATIENT_ID"],
            beam=int(values["DICOM_BEAM_NUMBER"]),
            started=values["TCSC_IRRAD_DATETIME"],
            first=int(values["START_LAYER_NUMBER"]),
            last=int(values["STOP_LAYER_NUMBER"]),
        )
    except KeyError as error:
        report("log.plan_info", f"{PLAN_INFO} has no {error.args[0]}")
    except ValueError:
        report("log.plan_info", f"{PLAN_INFO} has a beam or layer that is not a whole number")
    return None


def read_plan_range(folder: Path, report: Report, digests: Digests) -> tuple[LayerFiles, ...]:
    """Read PlanRange.txt by ascending layer; nothing, and what is wrong, if it cannot be used. `digests`: as above."""
    text = _text(folder / PLAN_RANGE, report, digests)
    if text is None:
        return ()
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        report("log.plan_range", f"{PLAN_RANGE} has no column {', '.join(missing)}")
        return ()
    try:
        found = [_row(row) for row in rows]
    except (TypeError, ValueError, AttributeError):
        report("log.plan_range", f"{PLAN_RANGE} has a row that cannot be read")
        return ()
    return tuple(sorted(found, key=lambda row: row.number))


def _row(row: dict[str, str]) -> LayerFiles:
    return LayerFiles(
        number=int(row["LAYER_NO"]),
        energy=float(row["LAYER_ENERGY"]),
        ranges=(int(row["DOSE1_RANGE"]), int(row["DOSE2_RANGE"])),
        log=_name(row["SCAN_OUT_FL_NM"]),
        planned=_name(row["PLAN_SCAN_OUT_FL_NM"]),
    )


def _name(text: str) -> str:
    """The name of a file in this folder: without the path, which may be one of Windows."""
    name = text.strip().replace("\\", "/").rpartition("/")[2]
    if not name or name in (".", ".."):
        raise ValueError("not the name of a file")
    return name


def _text(path: Path, report: Report, digests: Digests) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        report("log.unreadable", f"{printable(path.name)} cannot be read: {error.strerror}")
        return None
    if len(data) > _MOST:
        report("log.unreadable", f"{printable(path.name)} is larger than 1 MiB")
        return None
    digests[path.name] = hashlib.sha256(data).digest()
    return data.decode("utf-8-sig", "replace")
