"""What a stranger's connection costs: one of a bounded number, for a few seconds, and no line in the log."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.boards import listening_socket

from mqi_communicator.system.client import Client
from mqi_communicator.system.listener import Listener
from mqi_communicator.telemetry import http
from mqi_communicator.telemetry.http import Health, serve
from mqi_communicator.telemetry.metrics import CONTENT_TYPE
from mqi_communicator.telemetry.options import MonitoringOptions
from mqi_communicator.web import http_server
from mqi_communicator.web.http_server import HttpServer

pytestmark = pytest.mark.real
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc"
SLOW = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"


async def connect(port, count=1):
    """Connections that send nothing."""
    return [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]


async def everything(reader):
    """All that the server sends until it closes the connection, in whatever way."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def answer(port, request, **more):
    """The response to a request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **more)
    writer.write(request)
    reply = await everything(reader)
    writer.close()
    return reply


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def app(scope, receive, send):
    """Responds at once, to /large with 20 MB, to /stream without end, to POST when the body is complete."""
    while scope["method"] == "POST" and (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    while scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"more\n", "more_body": True})
        await asyncio.sleep(0.05)
    body = b"x" * 20_000_000 if scope["path"] == "/large" else b"well"
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def server(monkeypatch, *, limit=4, patience_s=60.0, tls=None):
    """The dashboard's server with another application. Yields its port."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", limit)
    monkeypatch.setattr(http_server, "REQUEST_S", patience_s)
    listening = listening_socket()
    made = HttpServer(app, listening, tls)
    try:
        yield listening.getsockname()[1]
    finally:
        await made.close()


@asynccontextmanager
async def monitor(metrics=None):
    """The monitoring pages. Yields their port."""

    async def well():
        return Health(ok=True)

    async def numbers():
        return b"mqi_up 1\n"

    made = await serve(
        MonitoringOptions(metrics_port=0),
        metrics=metrics or numbers,
        metrics_type=CONTENT_TYPE,
        health=well,
        ready=well,
    )
    try:
        yield made.port
    finally:
        await made.close()


async def test_idle_connections_take_a_bounded_number_of_descriptors_and_keep_nobody_out():
    async with monitor() as port:
        before = descriptors()
        with capture_logs() as lines:
            idle = await connect(port, 200)
            began = time.monotonic()
            for _ in range(20):
                assert b"200 OK" in await answer(port, b"GET /metrics HTTP/1.1\r\n\r\n")
            assert time.monotonic() - began < 2
        assert descriptors() - before <= 200 + 64 + 2
        assert [line["event"] for line in lines] == ["connections.refused"]
        assert lines[0]["server"] == "monitoring"
        for _, writer in idle:
            writer.close()


async def test_the_dashboards_server_closes_the_connection_that_has_waited_longest(monkeypatch):
    async with server(monkeypatch, limit=4) as port:
        idle = await connect(port, 4)
        assert (await answer(port, GET)).count(b"well")
        async with asyncio.timeout(5):
            assert await idle[0][0].read() == b""
        assert not idle[1][0].at_eof()
        for _, writer in idle:
            writer.close()


async def test_a_connection_that_is_served_is_not_closed_for_another(monkeypatch):
    async with server(monkeypatch, limit=2) as port:
        streams = await connect(port, 2)
        for reader, writer in streams:
            writer.write(SLOW)
            await reader.readuntil(b"more\n")
        assert await answer(port, GET) == b""
        for reader, writer in streams:
            assert await reader.readuntil(b"more\n")
            writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2], POST])
async def test_a_request_has_a_deadline_that_a_trickle_does_not_extend(monkeypatch, sent):
    async with server(monkeypatch, patience_s=0.8) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        reading = asyncio.create_task(everything(reader))
        began = time.monotonic()
        while not reading.done():
            if sent:
                writer.write(b"x")
            await asyncio.sleep(0.1)
        writer.close()
        assert reading.result() == b""
        assert 0.5 < time.monotonic() - began < 5


async def test_a_response_may_take_longer_than_the_deadline_of_a_request(monkeypatch):
    async with server(monkeypatch, patience_s=0.3) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SLOW)
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert await reader.readuntil(b"more\n")
        writer.close()


async def test_a_client_that_does_not_read_is_disconnected(monkeypatch):
    async with server(monkeypatch, patience_s=0.5) as port:
        before = descriptors()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            while descriptors() - before != 1:  # noqa: ASYNC110 - the server's end is closed
                await asyncio.sleep(0.05)
        assert len(await reader.read(1000)) > 0
        writer.close()


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
async def test_a_large_body_is_sent_in_parts(monkeypatch, size):
    monkeypatch.setattr(http_server, "_PART", 10)
    body, sent = bytes(range(size)), []

    async def responds(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    async def send(message):
        sent.append(message)

    await http_server._in_parts(responds)({}, None, send)
    parts = [message["body"] for message in sent[1:-1]]
    assert b"".join(parts) == body
    assert max(map(len, parts)) <= 10
    assert all(message["more_body"] for message in sent[1:-1])
    assert sent[-1] == {"type": "http.response.body"}


async def test_a_client_that_reads_slowly_gets_all(monkeypatch):
    async with server(monkeypatch, patience_s=2.0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=100_000)
        writer.write(b"GET /large HTTP/1.0\r\nHost: x\r\n\r\n")
        received, began = b"", time.monotonic()
        while part := await reader.read(200_000):
            received += part
            await asyncio.sleep(0.04)
        assert received.partition(b"\r\n\r\n")[2] == b"x" * 20_000_000
        assert time.monotonic() - began > 3
        writer.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(words, check=True, capture_output=True, cwd=folder)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return ours, ssl.create_default_context(cafile=folder / "cert.pem")


async def test_a_connection_counts_before_tls_is_established(monkeypatch, tls):
    async with server(monkeypatch, limit=4, tls=tls[0]) as port:
        before = descriptors()
        idle = await connect(port, 40)
        assert (await answer(port, GET, ssl=tls[1], server_hostname="localhost")).count(b"well")
        assert descriptors() - before <= 40 + 4 + 2
        for _, writer in idle:
            writer.close()


async def test_tls_has_the_same_deadline(monkeypatch, tls):
    async with server(monkeypatch, patience_s=0.5, tls=tls[0]) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await everything(reader) == b""
        writer.close()


async def test_a_monitoring_page_is_made_twice_a_second_however_many_ask(monkeypatch):
    made = 0

    async def numbers():
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)
        return b"mqi_up 1\n"

    monkeypatch.setattr(http, "_FRESH_S", 60.0)
    async with monitor(numbers) as port:
        replies = await asyncio.gather(*(answer(port, b"GET /metrics HTTP/1.1\r\n\r\n") for _ in range(50)))
    assert all(reply.endswith(b"mqi_up 1\n") for reply in replies)
    assert made == 1


async def test_without_descriptors_the_listener_waits_logs_once_and_then_serves_again(monkeypatch):
    listening = listening_socket()
    opened: list[Client] = []

    def protocol(client):
        opened.append(client)
        return asyncio.Protocol()

    made = Listener("test", listening, protocol, limit=4, patience_s=5)
    tries = 0

    async def nothing_left(_):
        nonlocal tries
        tries += 1
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as without, capture_logs() as lines:
        without.setattr(asyncio.get_running_loop(), "sock_accept", nothing_left)
        ((_, writer),) = await connect(listening.getsockname()[1])
        await asyncio.sleep(1.3)
    assert [(line["event"], line["why"]) for line in lines] == [("connections.refused", "Too many open files")]
    assert tries in (2, 3), "it waits between two tries"
    await asyncio.sleep(1)
    writer.close()
    await made.close()
    assert len(opened) == 1
