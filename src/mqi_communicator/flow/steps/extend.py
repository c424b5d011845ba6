"""extend: where the noise alone left the verdict undecided and a longer run was declared, it follows. Once."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Extend, Outcome
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.steps.extension import declared, ordered
from mqi_communicator.flow.steps.tidy import tidy_host
from mqi_communicator.flow.tools import Tools
from mqi_communicator.results.documents import VERDICT, VerdictDocument
from mqi_communicator.store import cases


async def extend(item: WorkItem, tools: Tools) -> Outcome:
    """No longer run is due: none was declared, the verdict calls for none, or it was made. Else it is ordered here."""
    told = await declared(item.case, tools)
    if told is None or told.closed:
        return Done()
    text = await asyncio.to_thread((tools.spool(item.case).results / VERDICT).read_bytes)
    said = VerdictDocument.model_validate_json(text).extension
    if said is None or said.histories_per_beam is None:
        return Done()
    longer = ordered(told, said.histories_per_beam)
    await asyncio.to_thread(write_durably, tools.spool(item.case).extension, longer.text())  # read after a restore
    await tools.database.write(cases.change, item.case, extension=longer.text())
    await tidy_host(item.case, tools)  # what lies there is the input of the first run
    return Extend(
        f"the noise alone left it undecided: {longer.summary}",
        {"from_histories": longer.first, "to_histories": longer.second, "most_histories": longer.most},
    )
