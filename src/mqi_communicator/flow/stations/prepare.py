"""prepare: the engine's input is written from the admitted DICOM files."""

from __future__ import annotations

from mqi_communicator.case.model import Line
from mqi_communicator.case.outcome import Done, Outcome
from mqi_communicator.flow.paperwork.order import write_input
from mqi_communicator.flow.tools import Tools


async def prepare(line: Line, tools: Tools) -> Outcome:
    """The spool's `input/` is complete: common/, one folder per beam, SHA256SUMS over all of it."""
    facts = await tools.desk.do(write_input, tools.spool(line.case), tools.engine, tools.conventions)
    return Done(facts)
