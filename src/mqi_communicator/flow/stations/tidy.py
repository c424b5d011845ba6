"""tidy: what a finished case left on the host and in the spool is removed; what was delivered stays."""

from __future__ import annotations

import asyncio
import shutil

from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.tools import Tools
from mqi_communicator.remote import stage

REMOVE_S = 120.0


async def tidy(line: Line, tools: Tools) -> Outcome:
    """Nothing of the case lies on the host; the spool keeps the admitted files and the doses."""
    await tidy_host(line.case, tools)
    spool = tools.spool(line.case)
    for folder in (spool.input, spool.root / "back"):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return Done()


async def tidy_host(case: str, tools: Tools) -> None:
    """Remove the case's folders below our workspace on the host, never through a link."""
    place = await tools.place_of(case)
    stage.read_removed(await place.host.ask(stage.remove(place.root, case), deadline=REMOVE_S))
