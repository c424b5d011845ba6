"""prepare: the engine's input is written from the admitted DICOM files."""

from __future__ import annotations

import json
from dataclasses import asdict

from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.paperwork.order import write_input
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases


async def prepare(line: Line, tools: Tools) -> Outcome:
    """The spool's `input/` is complete: common/, one folder per beam, SHA256SUMS. What it asks of GPUs is noted."""
    facts, demand = await tools.desk.do(write_input, tools.spool(line.case), tools.engine, tools.conventions)
    said = "" if demand is None else json.dumps(asdict(demand), sort_keys=True)
    await tools.database.write(cases.change, line.case, demand=said)
    return Done(facts)
