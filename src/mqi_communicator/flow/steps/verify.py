"""verify: read the fetched products as a dose, check it, and keep it."""

from __future__ import annotations

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, NewRun, Outcome
from mqi_communicator.dose.engine import Refused
from mqi_communicator.flow.tasks import keep_beam_dose
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs


async def verify(item: WorkItem, tools: Tools) -> Outcome:
    """The whole log of `item.token` is that of a successful run; its dose is finite, not zero, on the CT's grid, and
    stored as the beam's dose."""
    row = await tools.database.read(jobs.get, item.token)
    digests = {} if row is None else {path: digest for path, (_size, digest) in row.products.items()}
    kept = await tools.workers.run(
        keep_beam_dose, tools.spool(item.case), item.beam, item.token, tools.preparer, digests
    )
    if not isinstance(kept, Refused):
        return Done(kept)
    if kept.retryable:
        return NewRun(kept.why)
    raise Permanent(kept.why, kept.advice)
