"""A running communicator: the watched folder on one side, the driver on the other, until told to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence

import structlog

from mqi_communicator.app import App, serve_pages
from mqi_communicator.case.faults import NeedsPerson
from mqi_communicator.flow.arrivals import look
from mqi_communicator.flow.condition import look_at_hosts
from mqi_communicator.flow.housekeeping import tidy_hosts
from mqi_communicator.instruments import certificates
from mqi_communicator.intake.watch import Watch
from mqi_communicator.store.database import StoreTrouble
from mqi_communicator.telemetry import http

STORE_PAUSE_S = 5.0
HOUSE_S = 3600.0
AROUND_S = 60.0  # after the start, then every ten minutes


async def run(app: App, *, once: bool = False) -> str:
    """Work until SIGTERM or SIGINT; with `once`, until nothing moves by itself any more.

    Returns "stopped", or for `once` "quiet" or "unreachable". Jobs on the host are never ended by this.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    log = structlog.get_logger()
    monitor = None if once else await serve_pages(app)
    log.info("started", port=None if monitor is None else monitor.port, epoch=app.database.epoch)
    beside = [asyncio.create_task(_watch(app)), asyncio.create_task(_keep_house(app))]
    if monitor is not None:
        beside.append(asyncio.create_task(_look_around(app)))
        if app.post is not None:
            beside.append(asyncio.create_task(app.post.run()))
    try:
        end = await _turn(app, stop, beside, once=once)
    finally:
        await _close(app, beside, monitor)
    log.info("stopped", why=end)
    return end


async def _turn(app: App, stop: asyncio.Event, beside: Sequence[asyncio.Task[None]], *, once: bool) -> str:
    while not stop.is_set():
        try:
            rest = await _one_turn(app, once=once)
        except StoreTrouble as trouble:
            structlog.get_logger().error("store.trouble", why=trouble.reason)
            await asyncio.sleep(STORE_PAUSE_S)
            continue
        for task in beside:
            if task.done():
                task.result()
        if rest:
            return rest
    return "stopped"


async def _one_turn(app: App, *, once: bool) -> str:
    """Move what is due; for `once`, why nothing moves by itself any more, else ""."""
    await app.driver.tick()
    app.driver.check()
    app.ticked = time.time()
    if once and app.doubt and not app.looked:
        raise NeedsPerson(app.doubt, "look at paths.watch; nothing was taken in")
    return await app.driver.resting() if once and app.looked else ""


async def _watch(app: App) -> None:
    """Every look at the watched folder: what is new or has changed there wakes the driver."""
    log = structlog.get_logger()
    async for tick in Watch(app.config.paths.watch, app.config.intake).ticks():
        if tick.problem != app.doubt:
            log.warning("watch.doubtful", why=tick.problem) if tick.problem else log.info("watch.trusted")
            app.doubt = tick.problem
        if tick.listing is None:
            continue
        try:
            if await look([app.config.paths.watch / name for name in tick.listing.folders], app.tools):
                app.driver.wake()
        except StoreTrouble as trouble:
            log.error("store.trouble", why=trouble.reason)  # noqa: TRY400 - its reason says all; the next look repeats it
        else:
            app.looked = True


async def _keep_house(app: App) -> None:
    """Now and then, what ended cases left on hosts goes."""
    while True:
        await asyncio.sleep(HOUSE_S)
        try:
            await tidy_hosts(app.tools)
        except StoreTrouble as trouble:
            structlog.get_logger().error("store.trouble", why=trouble.reason)


async def _look_around(app: App) -> None:
    """Now and then: the clocks and disks of the hosts, and when our certificates end; for the metrics page."""
    pause = AROUND_S
    while True:
        await asyncio.sleep(pause)
        pause = 10 * AROUND_S
        app.seen.certificate_ends = await asyncio.to_thread(certificates, app.config)
        app.seen.hosts = await look_at_hosts(app.tools)


async def _close(app: App, beside: Sequence[asyncio.Task[None]], monitor: http.Monitor | None) -> None:
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    await app.driver.stop()
    await app.tools.desk.close()
    for place in app.tools.places.values():
        await place.roundup.close()
        await place.host.close()
    if monitor is not None:
        await monitor.close()
    app.database.close()
    app.lock.release()
