"""Write the engine's input from the DICOM files in the spool."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired, DiskFull, Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import CTVolume, IonPlan
from mqi_communicator.dicom.structures import StructureSet, read_structures
from mqi_communicator.dose.checks import raise_problems
from mqi_communicator.dose.engine import GpuDemand
from mqi_communicator.dose.prepare.preparation import Preparation, refusals_of
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.dose.recipe import recipe_of
from mqi_communicator.flow.spool.layout import Spool, write_durably
from mqi_communicator.flow.tasks.delivered_spots import DeliveredSpots, read_spots
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.prepared_case import keep_prepared, prepared_case
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.remote.workspace import SUMS, sums_text
from mqi_communicator.results.dose_type import convention_for
from mqi_communicator.results.options import DoseConvention
from mqi_communicator.system.durable import sync_folder, sync_tree


@dataclass(frozen=True, slots=True)
class AdmittedCase:
    """The plan, the CT and the structure set of a case, as read."""

    plan: IonPlan
    ct: CTVolume
    structures: StructureSet

    def prepared(self, preparer: Preparer) -> Preparation:
        """The case as the engine computes it."""
        return preparer.prepare(self.plan, self.ct, self.structures)


def read_case(spool: Spool) -> AdmittedCase:
    """The admitted case. Permanent if a file in the spool is not what was admitted."""
    (structures,) = admitted(spool, Kind.STRUCTURES)
    return AdmittedCase(read_plan(spool), read_ct(admitted(spool, Kind.CT)), read_structures(structures))


def read_plan(spool: Spool) -> IonPlan:
    """The admitted plan, with the recorded spots if the case computes the dose of a fraction. Permanent if a file is
    not what was admitted."""
    (path,) = admitted(spool, Kind.PLAN)
    plan, delivered = sound_plan(path), delivered_spots(spool)
    return plan if delivered is None else delivered.plan(plan)


def delivered_spots(spool: Spool) -> DeliveredSpots | None:
    """What the dose of a fraction is computed from; None if the case is of a plan. Permanent if it has changed."""
    return next((read_spots(path) for path in admitted(spool, Kind.SPOTS)), None)


def own_conventions(
    delivered: DeliveredSpots | None, plan: IonPlan, conventions: Mapping[str, DoseConvention]
) -> Mapping[str, DoseConvention]:
    """The conventions that hold for the doses that the case is compared with: of a plan those of the site."""
    return conventions if delivered is None else delivered.conventions(plan)


def first_slice(spool: Spool) -> Path:
    """A slice of the admitted CT, whose header has what all slices have in common. Permanent if it has changed."""
    file = load_manifest(spool.manifest).of(Kind.CT)[0]
    return _verified(spool.case / file.stored, file.sha256)


def prepare_again(spool: Spool, preparer: Preparer, plan: IonPlan | None = None) -> Preparation:
    """The case as its input was made from it. It is prepared anew if it was not stored then. `plan`: as admitted, if it
    has been read."""
    stored = prepared_case(spool, plan or read_plan(spool), preparer)
    return read_case(spool).prepared(preparer) if stored is None else stored


def admitted(spool: Spool, kind: Kind) -> list[Path]:
    """The paths of the admitted files of one kind, their digests verified. Permanent if one has changed."""
    return [_verified(spool.case / file.stored, file.sha256) for file in load_manifest(spool.manifest).of(kind)]


def _verified(path: Path, digest: str) -> Path:
    found = digest_of(path)
    if found != digest:
        raise Permanent(
            f"file {path.name} in the spool has digest {found[:16]}… now and had {digest[:16]}… when it was admitted",
            "cancel the case and copy its folder in again; the disk of paths.workspace may be failing",
        )
    return path


def write_input(
    spool: Spool, preparer: Preparer, conventions: Mapping[str, DoseConvention]
) -> tuple[dict[str, object], GpuDemand | None]:
    """Write `input/` in one rename; return facts about it, and the GPU demand of each beam.

    ActionRequired for what is not in the configuration, DicomProblem for the rest.
    """
    admitted_case = read_case(spool)
    plan, ct = admitted_case.plan, admitted_case.ct
    conventions = own_conventions(delivered_spots(spool), plan, conventions)
    has_dose = bool(load_manifest(spool.manifest).of(Kind.DOSE))
    if has_dose and convention_for(plan.manufacturer, conventions) is None:
        raise ActionRequired(
            f'the type of the planned dose of "{plan.manufacturer}" is not configured',
            f'add "{plan.manufacturer}" under dose_conventions (medium or water, physical or RBE, fraction or course), '
            "and restart the communicator",
        )
    prepared = admitted_case.prepared(preparer)
    raise_problems(refusals_of(preparer.engine, plan, prepared))
    case = preparer.engine.case(prepared.case)
    files = case.files()
    temporary = spool.root / "input.aside"
    shutil.rmtree(temporary, ignore_errors=True)
    write_durably(spool.recipe, json.dumps(recipe_of(preparer, plan, ct), indent=1))
    try:
        keep_prepared(spool, prepared, ct)
        _write(temporary, files)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise DiskFull(
            f"the engine's input cannot be written: {error.strerror}", "free space in paths.workspace"
        ) from None
    shutil.rmtree(spool.input, ignore_errors=True)
    temporary.rename(spool.input)
    sync_folder(spool.root)
    facts: dict[str, object] = {"beams": len(plan.beams), "files": len(files), "bytes": sum(map(len, files.values()))}
    return facts, case.gpu_demand()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    digests = {}
    for name, data in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    (folder / SUMS).write_bytes(sums_text(digests))
    sync_tree(folder)
