"""Fill patient id, plan label and machine of cases that an older version admitted, from the plans in the spool."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mqi_communicator.case.faults import Fault
from mqi_communicator.flow.tasks import identity_of
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases


async def fill_identities(tools: Tools) -> int:
    """Fill the cases without any identity whose admitted plan is in the spool; returns how many. Idempotent.

    A plan that cannot be read is left out: the case keeps its key and its folder's name.
    """
    filled = 0
    for key in await asyncio.to_thread(
        _in_spool, await tools.database.read(cases.unidentified), tools.workspace / "spool"
    ):
        try:
            found = await tools.workers.run(identity_of, tools.spool(key))
        except Fault:
            continue
        await tools.database.write(cases.identify, key, found)
        filled += 1
    return filled


def _in_spool(keys: list[str], spool: Path) -> list[str]:
    known = {folder.name for folder in spool.iterdir()} if spool.is_dir() else set()
    return [key for key in keys if key in known]
