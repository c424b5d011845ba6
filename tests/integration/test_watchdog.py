"""systemd is notified of real progress only; a stuck step is named."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mqi_communicator import run as running
from mqi_communicator.app import build, health
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.config import load
from mqi_communicator.flow import driver
from mqi_communicator.flow.steps import functions, table
from mqi_communicator.store import cases, work_items
from mqi_communicator.telemetry import logs
from mqi_communicator.telemetry.loop_watchdog import LoopWatchdog
from mqi_communicator.telemetry.systemd import Notifier

pytestmark = pytest.mark.real
KEY = "watchcase234"
LIMIT_S, GRACE_S = 0.3, 0.3


class Door:
    """A real socket in place of systemd."""

    def __init__(self, path: Path | str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)  # noqa: FBT003 - its name

    def heard(self) -> list[str]:
        """Everything since the last time."""
        found: list[str] = []
        with suppress(BlockingIOError):
            while True:
                found += self.socket.recv(4096).decode().splitlines()
        return found


@pytest.fixture
def systemd(tmp_path):
    made = Door(tmp_path / "notify")
    with made.socket:
        yield made


def test_without_a_socket_nothing_is_sent():
    notifier = Notifier({})
    notifier.ready("x")
    notifier.alive()
    assert not notifier.watched


def test_the_protocol_and_that_children_do_not_inherit_it(systemd, tmp_path):
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment)
    notifier.ready("processing cases")
    notifier.alive()
    notifier.stopping()
    assert systemd.heard() == ["READY=1", "STATUS=processing cases", "WATCHDOG=1", "STOPPING=1"]
    assert environment == {}


def test_an_abstract_socket_and_a_watchdog_that_is_meant_for_another_process():
    name = f"mqi-test-{os.getpid()}"
    systemd = Door("\0" + name)
    with systemd.socket:
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
        notifier.alive()
        notifier.status("x")
        assert systemd.heard() == ["STATUS=x"]


def test_a_missing_systemd_blocks_nothing(tmp_path):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"}).alive()


@pytest.fixture
def app(tmp_path, monkeypatch):
    """A communicator whose only step never ends: it swallows even its own cancellation, until `release` is set."""
    settings = {
        "paths": {name: str(tmp_path / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"kind": "mcsquare", "home": str(tmp_path)},
        "monitoring": {"metrics_port": 0},
        "resources": {"stop_s": 0},
    }
    (tmp_path / "watch").mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    release = asyncio.Event()

    async def deaf(_line, _tools):
        for _ in range(3):  # its own limit, the stop, the end of the loop
            with suppress(asyncio.CancelledError):
                await release.wait()
                break
        return driver.Wait(60, "heard at last")

    step = replace(table.CASE_STEPS[0], limit_s=LIMIT_S)
    monkeypatch.setitem(functions.PERFORM, step.name, deaf)
    monkeypatch.setattr(table, "CASE_STEPS", (step, *table.CASE_STEPS[1:]))
    monkeypatch.setattr(driver, "GRACE_S", GRACE_S)
    made = build(load(tmp_path / "config.yaml"))
    output = io.StringIO()
    logs.setup(stream=output)
    yield made, release, output
    release.set()


async def until(what, seconds: float = 60):
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110 - a socket and a log, not an event of ours
            await asyncio.sleep(0.05)


async def test_a_stuck_step_stops_the_watchdog_fails_the_health_check_and_is_named(app, systemd, tmp_path):
    made, release, output = app
    os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = str(tmp_path / "notify"), "1000000"
    heart: list[str] = []

    def reported(event: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, output.getvalue().splitlines()) if line["event"] == event]

    def beats() -> bool:
        heart.extend(systemd.heard())
        return "WATCHDOG=1" in heart

    task = asyncio.create_task(running.run(made))
    await until(beats)
    assert heart[:2] == ["READY=1", "STATUS=processing cases"]
    made.database.write_now(cases.add, cases.Case(KEY, tmp_path / "gone", 1.0, "f"))
    made.database.write_now(work_items.add, WorkItem(KEY, CASE_ITEM, "admit"), Event(1.0, KEY, CASE_ITEM, "case.seen"))
    await until(lambda: bool(reported("step.stuck")))
    (line,) = reported("step.stuck")
    assert (line["case"], line["step"], line["level"]) == (KEY, "admit", "error")
    systemd.heard()
    turns = made.ticked_at
    await until(lambda: made.ticked_at > turns + 1)  # the loop goes on turning, and ...
    assert "WATCHDOG=1" not in systemd.heard()  # ... that is no progress
    red = await health(made)
    assert (red.ok, red.facts["stuck_step"]) == (False, "admit")
    assert KEY not in str(red.facts)
    release.set()
    heart.clear()
    await until(lambda: bool(reported("step.recovered")) and beats())
    assert (await health(made)).ok
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert systemd.heard()[-1] == "STOPPING=1"


def test_a_blocked_event_loop_is_reported_once_with_its_location():
    output: list[tuple[float, list[str]]] = []
    age, again = [0.0], threading.Event()

    def tell(seconds, where):
        output.append((seconds, list(where)))
        again.set()

    watchdog = LoopWatchdog(lambda: age[0], 0.2, tell)
    watchdog.start()
    age[0] = 5.0
    assert again.wait(60)
    time.sleep(0.5)
    assert len(output) == 1
    assert output[0][0] == 5.0
    assert any(place.startswith("test_watchdog.py:") for place in output[0][1])
    watchdog.stop()
