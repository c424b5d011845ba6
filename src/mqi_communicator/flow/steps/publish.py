"""publish: deliver the verdict on a fraction to the results folder, as `deliver` does for a plan."""

from __future__ import annotations

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow.steps.deliver import deliver
from mqi_communicator.flow.tools import Tools


async def publish(item: WorkItem, tools: Tools) -> Outcome:
    """`results/<key>/` is complete: verdict, manifest and events."""
    return await deliver(item, tools)
