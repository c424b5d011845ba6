"""The accepted doses of a case in its spool: an array that is mapped into memory, and a record beside it.

`dose/beam-N.npy` holds the part of the dose that is kept (`dose.crop`) as float32 [z, y, x] in Gy, `beam-N.json` the
rest: its grid, the CT's grid, outside of whose kept part the dose is zero, the run and the recipe that it is of, and
the digest of the array. Every reader verifies that digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mqi_communicator.case.faults import Transient
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Grid, Medium
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.stored_array import grid_of, write_array
from mqi_communicator.system.durable import make_folder, replace_file

_AGAIN = "mqi retry reads the beam's dose again; the disk of paths.workspace may be failing"


@dataclass(frozen=True, slots=True)
class StoredDose:
    """The dose of one beam. `dose.gy` is mapped and must not be written to."""

    dose: Dose  # on the part of the CT's grid that is kept
    whole: Grid  # the CT's; the dose is zero where `dose` has no voxel
    token: str
    recipe: str | None  # digest of the recipe that it is of; None: stored by a version that did not record it
    sha256: str  # of the array's file


def store_dose(spool: Spool, number: int, dose: Dose, whole: Grid, token: str) -> None:
    """Store the dose of one beam in place of an earlier one. It counts once its record is written."""
    make_folder(spool.dose)
    array, record = _paths(spool, number)
    record.unlink(missing_ok=True)
    about = {
        "token": token,
        "recipe": recipe_digest(spool),
        "grid": asdict(dose.grid),
        "whole": asdict(whole),
        "type": asdict(dose.dose_type),
        "uncertainty": dose.uncertainty,
        "sha256": write_array(array, dose.gy),
    }
    replace_file(record, json.dumps(about, indent=1))
    (spool.dose / f"beam-{number}.npz").unlink(missing_ok=True)  # of an earlier version


def open_dose(spool: Spool, number: int, token: str) -> StoredDose:
    """The stored dose of one beam. Transient if it is of another run, or not what was stored."""
    array, record = _paths(spool, number)
    if not record.is_file():
        return _of_earlier_version(spool, number, token)
    about = json.loads(record.read_text(encoding="utf-8"))
    _check_run(number, about["token"], token)
    found = digest_of(array)
    if found != about["sha256"]:
        had = str(about["sha256"])
        raise Transient(f"the kept dose of beam {number} has digest {found[:16]}… and had {had[:16]}…", _AGAIN)
    gy = np.asarray(np.load(array, mmap_mode="r", allow_pickle=False))
    grid = grid_of(about["grid"])
    if gy.shape != grid.shape or gy.dtype != np.float32:
        raise Transient(f"the kept dose of beam {number} is {gy.dtype} of {gy.shape}, expected {grid.shape}", _AGAIN)
    dose = Dose(grid, gy, _dose_type(about["type"]), number, about["uncertainty"])
    return StoredDose(dose, grid_of(about["whole"]), token, about["recipe"], found)


def is_stored(spool: Spool, number: int) -> bool:
    """Whether a dose of this beam is in the spool, of whichever run."""
    array, record = _paths(spool, number)
    return (array.is_file() and record.is_file()) or array.with_suffix(".npz").is_file()


def recipe_digest(spool: Spool) -> str:
    """The digest of what the input was prepared for; "" if that is not known."""
    recipe = spool.made_with()
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest() if recipe else ""


def _paths(spool: Spool, number: int) -> tuple[Path, Path]:
    return spool.dose / f"beam-{number}.npy", spool.dose / f"beam-{number}.json"


def _check_run(number: int, found: str, wanted: str) -> None:
    if found != wanted:
        raise Transient(f"the kept dose of beam {number} is of run {found}, not of {wanted}")


def _of_earlier_version(spool: Spool, number: int, token: str) -> StoredDose:
    """A dose that was stored whole, in an archive whose members have checksums."""
    with np.load(spool.dose / f"beam-{number}.npz", allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        _check_run(number, about["token"], token)
        grid = grid_of(about["grid"])
        dose = Dose(grid, stored["gy"], _dose_type(about["meaning"]), number, about["uncertainty"])
    return StoredDose(dose, grid, token, None, hashlib.sha256(dose.gy.tobytes()).hexdigest())


def _dose_type(words: Mapping[str, str]) -> DoseType:
    return DoseType(Medium(words["medium"]), Biology(words["biology"]), Extent(words["extent"]))
