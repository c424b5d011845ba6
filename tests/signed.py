"""A real communicator with a delivered case that can be signed; nothing of it was computed by an engine."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mqi_communicator.app import App, build
from mqi_communicator.case.model import Event, Status, WorkItem
from mqi_communicator.case.signing import SignRequest
from mqi_communicator.config import load
from mqi_communicator.store import audit, cases, orders, signatures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import Database, open_database
from mqi_communicator.store.orders import Order
from tests.judged import KEY, Judged, judged

PEOPLE = {"ann": ("Ann Example", "Medical Physicist"), "bob": ("Bob Beispiel", "Senior Physicist")}


def settings(folder: Path, **sections: Any) -> Path:
    """The configuration of a communicator on this machine alone."""
    made = {
        "paths": {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"kind": "mcsquare", "home": str(folder)},
        "monitoring": {"metrics_port": 0},
        "resources": {"remote_free_gib": 0, "local_free_gib": 0},
        "dose_conventions": {"MQI SAMPLE": {"medium": "medium", "biology": "physical", "extent": "course"}},
        **sections,
    }
    (folder / "watch").mkdir(exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


def delivered_case(folder: Path, kind: str = "pass", *, report: bool = True) -> tuple[Judged, Path]:
    """A judged case in the spool, with its results delivered."""
    case = judged(folder / "workspace", kind)
    if report:
        case.report(gamma=[])
    return case, case.deliver(folder / "results")


def add_case(database: Database, case: Judged, folder: Path) -> None:
    """The case in the store, as it is after its delivery."""
    row = Case(KEY, folder.parent.parent / "watch" / "one", 1.0, "f", word=case.word, why="judged", results=str(folder))
    database.write_now(cases.add, row)
    database.write_now(work_items.add, WorkItem(KEY, 0, "tidy", status=Status.DONE), Event(1.0, KEY, 0, "case.seen"))
    database.write_now(signatures.open_case, KEY, str(folder))


@contextmanager
def store(path: Path) -> Iterator[Database]:
    """The store of a configuration, while nobody owns it."""
    database = open_database(load(path).paths.store)
    try:
        yield database
    finally:
        database.close()


class SigningSite:
    """A communicator whose driver runs, and people who sign."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.app: App = build(load(config))

    def order(self, user: str = "ann", decision: str = "accept", reason: str = "", **changes: Any) -> int:
        """Give an order to sign; its number."""
        name, title = PEOPLE[user]
        facts = {"number": 1, "proof": "password", "through": "dashboard", "seen": self.seen(), **changes}
        request = SignRequest(decision, user=user, name=name, title=title, **facts)
        return self.app.database.write_now(
            orders.add, at=time.time(), case=KEY, order="sign", who=f"{user} (dashboard)", why=reason,
            detail=request.text(),
        )  # fmt: skip

    def seen(self) -> str:
        return self.digest(self.folder / "manifest.json")

    @staticmethod
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    async def answered(self, *numbers: int) -> list[str]:
        """Run the driver until these orders are answered."""
        async with asyncio.timeout(120):
            while any(self.get(number).applied is None for number in numbers):
                await self.app.driver.tick()
        return [self.get(number).answer for number in numbers]

    def get(self, number: int) -> Order:
        return self.app.database.read_now(orders.get, number)

    def case(self) -> Case:
        return self.app.database.read_now(cases.get, KEY)

    def item(self) -> WorkItem:
        return self.app.database.read_now(work_items.get, KEY)

    def events(self, name: str = "case.signed") -> list[Event]:
        return [one for one in self.app.database.read_now(work_items.events_of, KEY) if one.event == name]

    def chain(self) -> str:
        return self.app.database.read_now(audit.head).link

    async def shut(self) -> None:
        await self.app.driver.stop()
        for host in self.app.tools.hosts.values():
            await host.poller.close()
            await host.guarded.close()
        self.app.database.close()
        self.app.lock.release()
