"""The identity of an admitted case, read from its plan in the spool."""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.identity import read_identity
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.intake.manifest import load_manifest


def identity_of(spool: Spool) -> CaseIdentity:
    """Patient id, plan label and machine. Permanent or DicomProblem if the spool does not have the plan any more."""
    manifest = load_manifest(spool.manifest)
    if manifest.identity is not None:
        return manifest.identity
    (plan,) = manifest.of(Kind.PLAN)
    path = spool.case / plan.stored
    beams = sound_plan(path).beams
    return replace(read_identity(path), machine=beams[0].machine if beams else "")
