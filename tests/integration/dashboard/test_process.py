"""The dashboard of a running communicator is a process of its own: neither can harm the other."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from tests.boards import Board, configure, dashboard

T = TypeVar("T")


def until(wanted: Callable[[], T]) -> T:
    """The first true value."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError, StopIteration):
            if found := wanted():
                return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def site(tmp_path) -> Path:
    return configure(tmp_path / "site", intake={"rescan_s": 1, "settle_s": 0.3})


@pytest.fixture
def board(site) -> Iterator[Board]:
    with dashboard(site, "run") as made:
        yield made


def logged(site: Path, event: str) -> list[dict[str, object]]:
    lines = (json.loads(line) for line in (site.parent / "run.log").read_text().splitlines() if line.endswith("}"))
    return [line for line in lines if line["event"] == event]


def child(board: Board) -> int:
    """The process id of the dashboard."""
    pids = Path(f"/proc/{board.process.pid}/task/{board.process.pid}/children").read_text().split()
    return next(int(pid) for pid in pids if b"\0web\0" in Path(f"/proc/{pid}/cmdline").read_bytes())


def metrics(site: Path) -> dict[str, float]:
    """The metrics without labels."""
    port = logged(site, "started")[0]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        lines = [line.split() for line in reply.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def full(found: dict[str, float]) -> dict[str, float]:
    """The metrics, if the dashboard has used up its descriptors."""
    return found if found["dashboard_process_open_fds"] > 0.8 * found["dashboard_process_max_fds"] else {}


def running(found: dict[str, float]) -> dict[str, float]:
    """The metrics, once the dashboard has reported that it runs."""
    return found if found["mqi_dashboard_up"] == 1 else {}


def case_arrives(site: Path, name: str) -> bool:
    """A new folder becomes a case, in time."""
    folder = site.parent / "watch" / name
    folder.mkdir()
    (folder / "readme.txt").write_text("no DICOM here")

    def known() -> list[object]:
        with sqlite3.connect(site.parent / "workspace/store.sqlite3") as store:
            return store.execute("SELECT key FROM cases WHERE CAST(source AS TEXT) LIKE ?", (f"%{name}",)).fetchall()

    return bool(until(known))


@pytest.mark.long
def test_cases_go_on_while_the_dashboard_is_stopped_and_it_is_started_again_when_it_was_killed(site, board):
    first = child(board)
    assert metrics(site)["mqi_dashboard_up"] == 1
    os.kill(first, signal.SIGSTOP)
    assert case_arrives(site, "while stopped")
    os.kill(first, signal.SIGKILL)
    assert case_arrives(site, "while dead")
    until(lambda: len(logged(site, "web.started")) == 2)
    (ended,) = logged(site, "child.ended")
    assert (ended["level"], ended["process"], ended["why"]) == ("error", "dashboard", "it was ended by SIGKILL")
    second = until(lambda: child(board))
    assert second != first
    found = until(lambda: running(metrics(site)))
    assert 5 < found["dashboard_process_open_fds"] < found["dashboard_process_max_fds"]
    assert found["dashboard_process_start_time_seconds"] > found["process_start_time_seconds"]
    board.process.terminate()
    assert board.process.wait(60) == 0
    assert not Path(f"/proc/{second}").exists()
    assert len(logged(site, "child.ended")) == 1


@pytest.mark.long
def test_cases_go_on_when_the_descriptors_of_the_dashboard_are_used_up(site, board):
    pid, where = child(board), urlsplit(board.address)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
    before = metrics(site)["process_open_fds"]
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection((where.hostname, where.port), timeout=30))
        found = until(lambda: full(metrics(site)))
        assert case_arrives(site, "while full")
        (refused,) = until(lambda: logged(site, "connections.refused"))
    assert (refused["server"], refused["why"]) == ("dashboard", "Too many open files")
    assert found["process_open_fds"] < before + 10
    assert not logged(site, "child.ended")


def test_the_dashboard_ends_with_the_communicator(site, board):
    pid = child(board)
    os.kill(pid, signal.SIGSTOP)  # it cannot notice anything itself
    board.process.kill()
    board.process.wait(60)
    until(lambda: not Path(f"/proc/{pid}").exists())
