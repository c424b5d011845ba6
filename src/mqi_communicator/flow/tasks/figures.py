"""The numbers of a verdict, which the store keeps for trends over cases."""

from __future__ import annotations

from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.documents import VERDICT, verdict_of
from mqi_communicator.store.figures import Figure


def figures_of(spool: Spool, now: float) -> list[Figure]:
    """The checks of the verdict in the spool, with the treatment machine of the plan."""
    (plan,) = load_manifest(spool.manifest).of(Kind.PLAN)
    beams = sound_plan(spool.case / plan.stored).beams
    machine = beams[0].machine if beams else ""
    checks = verdict_of((spool.results / VERDICT).read_bytes()).checks
    found = {
        (check.name, check.scope): Figure(
            spool.root.name, check.name, check.scope, now, machine, check.outcome.value, check.value, check.unit
        )
        for check in checks
    }
    return list(found.values())
