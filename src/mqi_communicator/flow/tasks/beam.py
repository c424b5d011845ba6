"""One beam's dose, from the fetched files to the stored dose."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired, Permanent, Transient
from mqi_communicator.dose.crop import kept_box
from mqi_communicator.dose.engine import JobRequest, Refused
from mqi_communicator.dose.log_excerpt import LOG_BYTES
from mqi_communicator.dose.outside import without_outside_air
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.dose.recipe import AGAIN, changes, job_changes
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import prepare_again
from mqi_communicator.flow.tasks.prepared_case import planned_grids
from mqi_communicator.flow.tasks.stored_dose import store_dose
from mqi_communicator.results.grids import cut


def keep_beam_dose(
    spool: Spool, number: int, token: str, preparer: Preparer, digests: Mapping[str, str]
) -> dict[str, object] | Refused:
    """Read the products of `token` as the dose of one beam, and keep it. Refused if its whole log, of which polling
    returned a part, is not that of a complete run. Permanent if it is not a valid dose, ActionRequired if it was
    computed with another configuration than the current one."""
    made_with = spool.made_with()
    if changed := (*changes(made_with, preparer), *job_changes(made_with, preparer)):
        raise ActionRequired("; ".join(changed), AGAIN)
    prepared = prepare_again(spool, preparer)
    products = {name: _verified(spool.back(token) / name, digest) for name, digest in digests.items()}
    log = _read_log(spool.back(token) / "log")
    judged = preparer.engine.job(JobRequest(number)).judge(0, log, {name: len(data) for name, data in products.items()})
    if isinstance(judged, Refused):
        return judged
    dose = preparer.engine.case(prepared.case).read_dose(number, products, log)
    dose = prepared.back(without_outside_air(dose, prepared.case.ct))
    top = float(dose.gy.max())
    if not top > 0:
        raise Permanent("the dose is zero everywhere in the patient", "check the isocentre and the CT")
    store_dose(spool, number, cut(dose, kept_box(dose, planned_grids(spool))), dose.grid, token)
    return {"maximum_gy": top, "uncertainty": dose.uncertainty}


def _read_log(path: Path) -> str:
    """The whole log. Permanent if it is too long to be read."""
    with path.open("rb") as file:
        data = file.read(LOG_BYTES + 1)
    if len(data) > LOG_BYTES:
        raise Permanent(
            f"the job's log has {path.stat().st_size >> 20} MiB, and at most {LOG_BYTES >> 20} MiB are read",
            "read it with `mqi show`, and make the engine or the site's own steps print less",
        )
    return data.decode("utf-8", errors="replace")


def _verified(path: Path, digest: str) -> bytes:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise Transient(f"{path.name} has digest {found[:16]}… here and had {digest[:16]}… on the host")
    return data
