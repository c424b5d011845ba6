"""The monitoring endpoints over a real socket, with valid and invalid requests."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.telemetry.http import Health, serve
from mqi_communicator.telemetry.metrics import CONTENT_TYPE
from mqi_communicator.telemetry.options import MonitoringOptions


async def numbers():
    return b"mqi_up 1\n"


async def well():
    return Health(ok=True, facts={"last_progress_s": 3})


async def stalled():
    return Health(ok=False, facts={"why": "no progress for 20 min"})


@asynccontextmanager
async def pages(port=0, metrics_host="127.0.0.1", **changed):
    made = {"metrics": numbers, "metrics_type": CONTENT_TYPE, "health": well, "ready": stalled, **changed}
    monitor = await serve(MonitoringOptions(metrics_host=metrics_host, metrics_port=port), **made)
    try:
        yield monitor
    finally:
        await monitor.close()


async def say(port, text, *, limit=60.0):
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode(), body


def get(path, method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_the_three_pages_answer():
    async with pages() as monitor:
        status, head, body = await say(monitor.port, get("/metrics?x=1"))
        assert (status, body) == (200, b"mqi_up 1\n")
        assert f"Content-Type: {CONTENT_TYPE}" in head
        status, _, body = await say(monitor.port, get("/healthz"))
        assert (status, json.loads(body)) == (200, {"ok": True, "last_progress_s": 3})
        status, _, body = await say(monitor.port, get("/readyz"))
        assert (status, json.loads(body)["why"]) == (503, "no progress for 20 min")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ""])  # noqa: S104
async def test_the_pages_are_served_on_the_addresses_of_a_host(host):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with pages(port, metrics_host=host):
        assert (await say(port, get("/metrics")))[0] == 200


async def test_head_has_the_length_and_no_body():
    async with pages() as monitor:
        status, head, body = await say(monitor.port, get("/metrics", "HEAD"))
    assert (status, body) == (200, b"")
    assert "Content-Length: 9" in head


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (get("/"), 404),
        (get("/metrics/../etc"), 404),
        (get("/metrics", "POST"), 405),
        (get("/healthz", "DELETE"), 405),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 20000, 431),
    ],
)
async def test_other_requests_are_refused(asked, status):
    async with pages() as monitor:
        assert (await say(monitor.port, asked))[0] == status
        assert (await say(monitor.port, get("/healthz")))[0] == 200


async def test_a_silent_client_blocks_no_other():
    async with pages() as monitor:
        silent = [await asyncio.open_connection("127.0.0.1", monitor.port) for _ in range(10)]
        assert (await say(monitor.port, get("/healthz"), limit=2.0))[0] == 200
        async with asyncio.timeout(8):
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()


async def test_a_page_that_cannot_be_made_is_a_503_without_details():
    async def broken():
        raise KeyError("DOE^JOHN")

    async with pages(health=broken) as monitor:
        status, _, body = await say(monitor.port, get("/healthz"))
    assert status == 503
    assert b"DOE" not in body


async def test_a_port_in_use_is_reported():
    async with pages() as monitor:
        with pytest.raises(ActionRequired, match=f"port {monitor.port}") as reported:
            await serve(
                MonitoringOptions(metrics_port=monitor.port),
                metrics=numbers,
                metrics_type=CONTENT_TYPE,
                health=well,
                ready=well,
            )
    assert "metrics_port" in reported.value.advice


async def test_closing_ends_open_connections_and_frees_the_port():
    async with pages() as monitor:
        port = monitor.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    async with pages(port=port) as again:
        assert again.port == port
