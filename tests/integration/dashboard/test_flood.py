"""A flood of connections and of invalid requests: people who work with the dashboard notice nothing."""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.boards import Board

from mqi_communicator.web.http_server import MAX_CONNECTIONS

IDLE = 700
INVALID = (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", b"\x16\x03\x01\r\n\r\n")


@pytest.fixture
def stack():
    """Closes what a test opens; this process may open enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with ExitStack() as made:
        yield made
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(board: Board) -> socket.socket:
    where = urlsplit(board.address)
    assert where.hostname
    assert where.port
    return socket.create_connection((where.hostname, where.port), timeout=30)


@pytest.mark.long
def test_seven_hundred_idle_connections_keep_nobody_out(base, board, vera, stack):
    log = base / "web.log"
    stream = stack.enter_context(vera.stream("GET", "/live"))
    lines = (line for line in stream.iter_lines() if line.startswith("data: "))
    next(lines)
    before = log.read_text().count("\n")
    for _ in range(IDLE):
        stack.enter_context(connect(board))
    began = time.monotonic()
    with board.signed_in("otto") as otto:
        assert otto.get("/").status_code == 200
    assert time.monotonic() - began < 10
    assert len(list(Path(f"/proc/{board.process.pid}/fd").iterdir())) < MAX_CONNECTIONS + 60
    (base / "workspace/store.sqlite3").touch()  # a change
    assert next(lines)
    logged = log.read_text().splitlines()[before:]
    assert [line for line in logged if "connections.refused" in line]
    assert len(logged) < 10


def test_a_thousand_invalid_requests_cost_a_few_lines_in_the_log(base, board, stack):
    before = (base / "web.log").read_text().count("\n")
    for number in range(1000):
        with connect(board) as client:
            client.sendall(INVALID[number % 3])
            assert b" 400 " in client.recv(100)
    assert (base / "web.log").read_text().count("\n") - before < 10
