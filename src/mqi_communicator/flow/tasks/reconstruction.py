"""Makes the case that computes the dose of a fraction: what was admitted with the plan, the recorded spots, and the
recalculated dose of the plan in place of a planned one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.delivered import no_dose, recorded_fraction
from mqi_communicator.flow.tasks.delivered_spots import NAME, DeliveredSpots, write_spots
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.engine_input import admitted, read_plan
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.flow.tasks.stored_dose import is_stored, open_dose
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.spooling import content_of, write_manifest
from mqi_communicator.results.delivered.basis import reasons_without_dose
from mqi_communicator.results.sums import common_grid
from mqi_communicator.system.durable import sync_file, sync_tree
from mqi_communicator.treatment.reconstruction import spots_of

_SHARED = (Kind.CT, Kind.STRUCTURES, Kind.PLAN)


def reconstruct_case(
    spool: Spool, label: str, sources: FractionSources, tokens: Mapping[int, str], engine: str, basis: Basis
) -> dict[str, object]:
    """Write `case/` of the spool in one rename; return facts about it.

    `tokens`: of the accepted run of each beam of the plan. `engine`: its name. Permanent if the fraction is not
    recorded completely, or a dose of the plan is missing.
    """
    of_plan, plan = sources.plan_case, read_plan(sources.plan_case)
    fraction, unjudged = recorded_fraction(plan, label, sources)
    if why := no_dose(plan, fraction, unjudged, sources):
        raise Permanent(
            f"the dose of {label} cannot be computed: {why}",
            "it is computed once the fraction is recorded completely; mqi cancel ends this case",
        )
    if gone := [str(number) for number in tokens if not is_stored(of_plan, number)]:
        raise Permanent(
            f"the dose of beam {', '.join(gone)} of the plan is not in the spool any more",
            "copy the folder of the plan in again, so that it is computed; then judge the fraction again",
        )
    computed = [open_dose(of_plan, number, token) for number, token in tokens.items()]
    types = [one.dose.dose_type for one in computed]
    grid = common_grid([one.dose.grid for one in computed], types)
    noise = {one.dose.beam_number or 0: one.dose.uncertainty for one in computed}
    reasons = reasons_without_dose(fraction)
    delivered = DeliveredSpots(label, spots_of(fraction), types[0], noise, of_plan.made_with(), reasons)
    aside = spool.root / "case.aside"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True, mode=0o700)
        files = list(_shared(of_plan, aside))
        write_spots(aside / NAME, delivered)
        files.append(_stored(aside / NAME, Kind.SPOTS))
        (plan_file,) = admitted(of_plan, Kind.PLAN)
        for one in computed:
            beam = next(beam for beam in plan.beams if beam.number == one.dose.beam_number)
            path = aside / f"plan-beam-{beam.number}.dcm"
            written = write_rtdose(
                path,
                replace(one.dose, beam_number=beam.own_number),
                Origin(of_plan.root.name, one.token, engine, f"MQI Communicator {basis.version}"),
                plan=plan_file,
                frame_of_reference_uid=plan.frame_of_reference_uid,
                whole=grid,
            )
            files.append(replace(_stored(path, Kind.DOSE), sop_instance_uid=written.uid))
        known = load_manifest(of_plan.manifest)
        made = Manifest(content_of(files), known.lineage, known.beams, tuple(files), identity=known.identity)
        sync_tree(aside)
        shutil.rmtree(spool.case, ignore_errors=True)
        write_manifest(aside / spool.manifest.name, made)
        aside.rename(spool.case)
        sync_tree(spool.case)
    except OSError as error:
        raise DiskFull(f"the case cannot be written: {error.strerror}", "free space in paths.workspace") from None
    facts = {"fraction": label, "deliveries": len(sources.deliveries)}
    return {**facts, "spots": delivered.count, "mu": round(delivered.mu, 3)}


def _shared(of_plan: Spool, aside: Path) -> Iterator[StoredFile]:
    """Link what the case shares with that of the plan: each reader verifies the digests."""
    for file in load_manifest(of_plan.manifest).files:
        if file.kind in _SHARED:
            os.link(of_plan.case / file.stored, aside / file.stored)
            yield replace(file, original="")


def _stored(path: Path, kind: Kind) -> StoredFile:
    path.chmod(0o600)
    sync_file(path)
    return StoredFile(path.name, digest_of(path), path.stat().st_size, kind, "", "")
