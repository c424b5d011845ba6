"""A child process that is kept running: its end is logged and it is started again, whatever happened to it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from tests.boards import configure, free_port, with_store

from mqi_communicator.cli.dashboard import watched_web
from mqi_communicator.system import child
from mqi_communicator.system.child import ChildProcess

pytestmark = pytest.mark.real
ALIVE = """
import asyncio, signal, sys
from mqi_communicator.system import alive
from mqi_communicator.system.alive import report_alive
from mqi_communicator.system.parent import die_with_parent
die_with_parent()
alive.BEAT_S = 0.2
"""


def program(text):
    return [sys.executable, "-c", ALIVE + text]


@asynccontextmanager
async def running(argv):
    """The child, and the lines that were logged about it."""
    made = ChildProcess("dashboard", argv)
    with capture_logs() as lines:
        task = asyncio.create_task(made.run())
        try:
            yield made, lines
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition, limit_s=60.0):
    async with asyncio.timeout(limit_s):
        while not (found := condition()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    return found


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(child, "SILENT_S", 3.0)
    monkeypatch.setattr(child, "PAUSE_S", 0.1)


@pytest.fixture
def site(tmp_path):
    """A configuration of a dashboard on a free port, and its address."""
    port = free_port()
    return with_store(configure(tmp_path / "site", {"port": port})), f"http://127.0.0.1:{port}/login"


def exists(pid):
    return Path(f"/proc/{pid}").exists()


async def answers(address):
    async with httpx.AsyncClient() as client:
        return (await client.get(address)).status_code == 200


@pytest.mark.long
async def test_a_dashboard_that_does_not_respond_is_killed_and_started_again(site, quick, monkeypatch):
    monkeypatch.setattr(child, "SILENT_S", 8.0)
    config, address = site
    async with running(watched_web(config)) as (made, lines):
        first = await until(lambda: made.reporting and made.pid)
        assert await answers(address)
        os.kill(first, signal.SIGSTOP)
        await until(lambda: made.reporting and made.pid != first)
        assert await answers(address)
    assert [line["why"] for line in lines] == ["it did not respond for 8 s and was killed"]
    assert not exists(first)


SILENT = "it did not respond for 3 s and was killed"


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda pid: os.kill(pid, signal.SIGKILL), "it was ended by SIGKILL"),
        (lambda pid: os.kill(pid, signal.SIGSTOP), SILENT),
        (lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, 4)), SILENT),
    ],
    ids=["killed", "stopped", "descriptors used up"],
)
async def test_a_child_is_started_again(quick, harm, why):
    async with running(program("asyncio.run(report_alive())")) as (made, lines):
        first = await until(lambda: made.reporting and made.pid)
        harm(first)
        await until(lambda: made.reporting and made.pid != first)
    assert [(line["event"], line["process"], line["why"]) for line in lines] == [("child.ended", "dashboard", why)]
    assert not exists(first)


async def test_its_own_message_is_logged_once(quick):
    async with running(program("sys.exit('mqi: the port is in use\\n     set another one')")) as (made, lines):
        first = await until(lambda: made.pid)
        await until(lambda: made.pid not in (None, first))
        assert not made.reporting
    assert [line["why"] for line in lines] == ["the port is in use; set another one"]


async def test_the_text_of_an_exception_is_withheld(quick):
    async with running(program("raise KeyError('DOE^JANE')")) as (_, lines):
        await until(lambda: lines)
    assert [line["why"] for line in lines] == ["exit code 1"]


async def test_it_is_started_less_and_less_often(quick, monkeypatch):
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 6:
            await asyncio.Event().wait()

    monkeypatch.setattr(child, "LONGEST_PAUSE_S", 1.0)
    monkeypatch.setattr(child.asyncio, "sleep", pause)
    sleep = asyncio.tasks.sleep
    async with running(["/nowhere/at/all"]) as (_, lines):
        while len(pauses) < 6:
            await sleep(0.05)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert [line["why"] for line in lines] == ["it could not be started: No such file or directory"]


async def test_without_descriptors_here_it_is_started_later(quick, monkeypatch):
    def nothing_left():
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(child.socket, "socketpair", nothing_left)
        made = ChildProcess("dashboard", program("asyncio.run(report_alive())"))
        with capture_logs() as lines:
            task = asyncio.create_task(made.run())
            await until(lambda: lines)
    assert [line["why"] for line in lines] == ["it could not be started: Too many open files"]
    await until(lambda: made.reporting)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_one_that_ignores_a_stop_is_killed(quick, monkeypatch):
    monkeypatch.setattr(child, "_STOP_S", 0.5)
    text = "signal.signal(signal.SIGTERM, signal.SIG_IGN); asyncio.run(report_alive())"
    async with running(program(text)) as (made, lines):
        pid = await until(lambda: made.reporting and made.pid)
    assert not exists(pid)
    assert not lines


async def test_it_ends_when_the_other_end_of_its_stdin_is_closed():
    """As when the communicator ended before the kernel knew that the child belongs to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(*program("asyncio.run(report_alive())"), stdin=theirs.fileno())
    ours.close()
    async with asyncio.timeout(30):
        assert await process.wait() == 0
