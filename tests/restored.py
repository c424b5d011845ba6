"""A communicator whose store is replaced by an older backup of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from mqi_communicator.app import App
from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem, new_key
from mqi_communicator.flow.reconcile import StartupSummary, reconcile
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.store import audit, cases, jobs, orders, work_items
from mqi_communicator.store.backup import back_up
from mqi_communicator.store.restore import restore
from tests.spooled import begin, shut, two_hosts

# Several modules use them at once, and a job is ended by its name alone: no two test processes have the same keys.
KEY, TWIN = sorted((new_key(), new_key()))


class Site:
    """A communicator, and a backup of its store that is older than what happens next."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.witness = folder, folder / "witness"
        self.app: App = two_hosts(folder)
        self.backup = folder

    @property
    def store(self) -> Path:
        return self.app.config.paths.store

    def back_up(self) -> None:
        self.backup = back_up(self.store, self.folder / "copies", 5, time.time()).path

    async def restore(self) -> StartupSummary:
        """Stop the communicator, restore the backup, start the communicator."""
        await shut(self.app)
        restore(self.backup, self.store, time.time())
        self.app = two_hosts(self.folder)
        return await reconcile(self.app.tools)

    def order(self, word: str, detail: str = "", at: float = 50.0, key: str = KEY) -> str:
        """Give and apply an order; returns the answer."""
        write, tools = self.app.database.write_now, self.app.tools
        one = write(orders.add, at=at, case=key, order=word, who="j.doe", why="said so", detail=detail)
        given = self.app.database.read_now(orders.get, one)
        _events, answer = write(apply_order, given, tools.spool(key), at, tools.resources.ageing_s)
        return answer

    def item(self, key: str = KEY, beam: int = CASE_ITEM) -> WorkItem:
        return self.app.database.read_now(work_items.get, key, beam)

    def case(self, key: str = KEY) -> cases.Case:
        return self.app.database.read_now(cases.get, key)

    def events(self) -> list[tuple[str, str]]:
        return [(one.event, one.who) for one in self.app.database.read_now(audit.history, KEY)]

    async def under_way(self) -> None:
        """Upload the case to `two`, where the job of its first beam is submitted."""
        tools, write = self.app.tools, self.app.database.write_now
        await reconcile(tools)
        write(work_items.move, self.item(), replace(self.item(), step="compare", status=Status.WAITING, due=2e9), None)
        write(cases.change, KEY, host="two")
        write_durably(tools.spool(KEY).sent_to, "two")
        write(work_items.add_beam, WorkItem(KEY, 1, "follow"))
        row = jobs.JobRow(f"{KEY}-b1-r1", KEY, 1, 1, "two", jobs.WANTED, active=False, claimed=1.0)
        write(jobs.claim, row, jobs.HostCapacity(5))

    async def run_ends(self) -> None:
        """Let the first run of the first beam start and end on `two`."""
        await begin(self.app, "two", KEY, 1, ("sh", "-c", f"echo x >>{self.witness}"))
        host = self.app.tools.hosts["two"]
        async with asyncio.timeout(60):
            while not (Path(host.root) / "cases" / KEY / "runs" / f"{KEY}-b1-r1" / "exit").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def gates(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "remote2" / "gates").iterdir())

    async def work_until_cancelled(self) -> None:
        """Run the driver's ticks; only what is being cancelled may be due."""
        async with asyncio.timeout(120):
            while self.item().status is not Status.CANCELLED:
                await self.app.driver.tick()
