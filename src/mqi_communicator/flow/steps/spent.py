"""Spent runs of a beam: their gates were removed from the host, so their tokens must never be used again.

While a gate is on the host, no second job can start with its token. Removing the gate frees the token, and a store
restored from a backup may not know that the run was made. So the last run of each beam is recorded in the spool before
its gate is removed, and `submit` starts a later run.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import NewRun
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.flow.spool.layout import Spool, write_durably
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import jobs

_TOKEN = re.compile(r"[A-Za-z0-9]+-b(\d+)-r(\d+)")


def note_spent(spool: Spool, tokens: Iterable[str]) -> None:
    """Record these runs durably, before their gates are removed. DiskFull if the spool is."""
    last = dict(spent_runs(spool))
    for token in tokens:
        if named := _TOKEN.fullmatch(token):
            beam, run = int(named[1]), int(named[2])
            last[beam] = max(last.get(beam, 0), run)
    if last:
        write_durably(spool.spent, json.dumps({str(beam): last[beam] for beam in sorted(last)}))


def spent_runs(spool: Spool) -> Mapping[int, int]:
    """The last spent run of each beam, by beam number. ActionRequired if the file is damaged."""
    try:
        recorded = json.loads(spool.spent.read_text(encoding="ascii"))
        return {int(beam): int(run) for beam, run in recorded.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError):
        raise ActionRequired(
            f"{spool.spent} cannot be read: the earlier runs of this case are unknown",
            "cancel the case and drop its folder again under another name",
        ) from None


async def run_after_spent(item: WorkItem, tools: Tools) -> NewRun | None:
    """A later run if this one is spent, whose job slot is then released. None if it is not."""
    last = (await asyncio.to_thread(spent_runs, tools.spool(item.case))).get(item.beam, 0)
    if item.run > last:
        return None
    row = await tools.database.read(jobs.get, item.token)
    if row is not None and row.state != jobs.WANTED:
        await tools.database.write(jobs.change, item.token, active=False, state=JobState.ENDED.value)
        if row.active and (host := tools.hosts.get(row.host)) is not None:
            await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock(), but=item.token)
    return NewRun(f"the files of run {last} on the host were removed; its token is not used again", beyond=last)
