"""The prepared case in the spool: its CT with the densities that are computed, so that nobody reads 240 slices and
writes densities again.

`prepared/hu.npy` holds the HU in the patient system, `prepared/case.json` what else the CT has, what the stages
reported, the grids of the planned doses, and the digests of what all this was made from. It is used for the same
admitted files and the same recipe alone; anything else is prepared again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.records import CTVolume, Grid, IonPlan
from mqi_communicator.dicom.rtdose import dose_facts
from mqi_communicator.dose.prepare.preparation import Preparation, restore
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.stored_array import grid_of, write_array
from mqi_communicator.flow.tasks.stored_dose import recipe_digest
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.system.durable import make_folder, replace_file

_FORMAT = 1


def keep_prepared(spool: Spool, prepared: Preparation, ct: CTVolume) -> None:
    """Store a prepared case in place of an earlier one; `ct` as it was admitted. It counts once its record is written.
    The recipe is in the spool."""
    make_folder(spool.prepared)
    array, record = _paths(spool)
    record.unlink(missing_ok=True)
    computed = prepared.axes.inverse.array(prepared.case.ct.hu)
    about = {
        **_basis(spool),
        "as_admitted": bool(np.array_equal(computed, ct.hu)),
        "ct": {one.name: getattr(ct, one.name) for one in fields(CTVolume) if one.name not in ("grid", "hu")},
        "grid": asdict(ct.grid),
        "planned": [asdict(grid) for grid in planned_grids(spool)],
        "cautions": [asdict(one) for one in prepared.cautions],
        "sha256": write_array(array, computed),
    }
    replace_file(record, json.dumps(about))


def prepared_case(spool: Spool, plan: IonPlan, preparer: Preparer) -> Preparation | None:
    """The case as its input was made from it; None if it was not stored, or for other files or another recipe.

    Permanent if the stored array has changed.
    """
    about = _record(spool)
    if about is None:
        return None
    cautions = [Caution(**one) for one in about["cautions"]]
    return restore(plan, _ct(spool, about), cautions, preparer.engine, preparer.options)


def admitted_ct(spool: Spool) -> CTVolume | None:
    """The CT as admitted, its HU mapped into memory; None if it was not stored, or is not what is computed.

    Permanent if the stored array has changed.
    """
    about = _record(spool)
    return None if about is None or not about["as_admitted"] else _ct(spool, about)


def planned_grids(spool: Spool) -> tuple[Grid, ...]:
    """The grids of the planned doses."""
    about = _record(spool)
    if about is not None:
        return tuple(grid_of(one) for one in about["planned"])
    doses = load_manifest(spool.manifest).of(Kind.DOSE)
    return tuple(dose_facts(spool.case / file.stored).grid for file in doses)


def _record(spool: Spool) -> Mapping[str, Any] | None:
    array, record = _paths(spool)
    if not (record.is_file() and array.is_file()):
        return None
    about: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    basis = _basis(spool)
    return about if basis["recipe"] and all(about.get(name) == value for name, value in basis.items()) else None


def _basis(spool: Spool) -> dict[str, object]:
    return {"format": _FORMAT, "recipe": recipe_digest(spool), "admitted": digest_of(spool.manifest)}


def _ct(spool: Spool, about: Mapping[str, Any]) -> CTVolume:
    array, _ = _paths(spool)
    found = digest_of(array)
    if found != about["sha256"]:
        raise Permanent(
            f"the prepared CT in the spool has digest {found[:16]}… now and had {str(about['sha256'])[:16]}… when it "
            "was stored",
            "cancel the case and copy its folder in again; the disk of paths.workspace may be failing",
        )
    hu = np.asarray(np.load(array, mmap_mode="r", allow_pickle=False))
    grid = grid_of(about["grid"])
    ct: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in about["ct"].items()
    }
    return CTVolume(grid=grid, hu=hu.reshape(grid.shape), **ct)


def _paths(spool: Spool) -> tuple[Path, Path]:
    return spool.prepared / "hu.npy", spool.prepared / "case.json"
