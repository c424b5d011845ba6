"""extend: order the longer run, once, where noise alone left the verdict undecided and one was declared."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Extend, Outcome
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.steps.extension import declared, ordered
from mqi_communicator.flow.steps.tidy import tidy_host
from mqi_communicator.flow.tools import Tools
from mqi_communicator.results.documents import VERDICT, VerdictDocument
from mqi_communicator.store import cases, signatures


async def extend(item: WorkItem, tools: Tools) -> Outcome:
    """Done if no longer run was declared, the verdict needs none, or it was made; otherwise order it."""
    extension = await declared(item.case, tools)
    if extension is None or extension.closed:
        return Done()
    text = await asyncio.to_thread((tools.spool(item.case).results / VERDICT).read_bytes)
    proposed = VerdictDocument.model_validate_json(text).extension
    if proposed is None or proposed.histories_per_beam is None:
        return Done()
    longer = ordered(extension, proposed.histories_per_beam)
    await asyncio.to_thread(write_durably, tools.spool(item.case).extension, longer.text())  # read after a restore
    await tools.database.write(cases.change, item.case, extension=longer.text())
    await tools.database.write(signatures.withdraw, item.case)
    await tidy_host(item.case, tools)  # the input of the first run
    return Extend(
        f"statistical noise alone left the verdict undecided: {longer.summary}",
        {"from_histories": longer.first, "to_histories": longer.second, "most_histories": longer.most},
    )
