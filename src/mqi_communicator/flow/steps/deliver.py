"""deliver: publish the results in the results folder by one rename, with the record of how they were made."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.dose.recipe import evidence_of
from mqi_communicator.flow.spool.decisions import Ended, note_ended
from mqi_communicator.flow.tasks.manifest import Record, deliver_case
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.results.documents import RunDocument, utc
from mqi_communicator.store import audit, cases, jobs, signatures, work_items


async def deliver(item: WorkItem, tools: Tools) -> Outcome:
    """`results/<key>/` is complete: verdict, doses, manifest, events, and the report if it could be rendered."""
    spool, record = tools.spool(item.case), await record_of(item, tools)
    where = await asyncio.to_thread(deliver_case, spool, record, tools.results, tools.marker.verify)
    case = await tools.database.read(cases.get, item.case)
    ended = Ended(judgements.number(record.history), str(where), case.word, case.why)
    await asyncio.to_thread(note_ended, spool, ended)
    await tools.database.write(signatures.open_case, item.case, str(where))
    head = await tools.database.read(audit.head)
    tools.emit("audit.head", number=head.id, link=head.link)
    return Done()


async def record_of(item: WorkItem, tools: Tools) -> Record:
    """The record of how the results of this case were made."""
    runs = await tools.database.read(jobs.of_case, item.case)
    beams = {beam.token for beam in (await tools.database.read(work_items.of_case, item.case))[1:]}
    return Record(
        runs=[run_document(job) for job in runs if job.token in beams],
        history=await tools.database.read(audit.history, item.case),
        evidence=evidence_of(await asyncio.to_thread(tools.spool(item.case).made_with), tools.preparer),
        basis=tools.basis,
    )


def run_document(job: jobs.JobRow) -> RunDocument:
    """A job as a manifest records it."""
    return RunDocument(
        beam=job.beam, token=job.token, run=job.run, host=job.host, started=utc(job.started), ended=utc(job.ended)
    )
