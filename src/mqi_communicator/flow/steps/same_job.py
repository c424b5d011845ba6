"""Whether the input of a case still suits the jobs of the configuration."""

from __future__ import annotations

import asyncio

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dose.recipe import AGAIN, job_changes
from mqi_communicator.flow.tools import Tools


async def require_same_job(case: str, tools: Tools) -> None:
    """ActionRequired if the configuration has changed so that a job for the input of this case would fail, or a job
    that was started for it would be judged by the wrong files."""
    made_with = await asyncio.to_thread(tools.spool(case).made_with)
    if changed := job_changes(made_with, tools.preparer):
        raise ActionRequired("; ".join(changed), AGAIN)
