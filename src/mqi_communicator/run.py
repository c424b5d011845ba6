"""A running communicator: the driver and what runs beside it, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

import structlog

from mqi_communicator.app import TICK_LIMIT_S, App, serve_pages
from mqi_communicator.background import background_work, log_database_error
from mqi_communicator.case.faults import ActionRequired, Fault
from mqi_communicator.flow.driver import RunningStep
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.workers.socket_folder import record_socket_folder
from mqi_communicator.store import audit
from mqi_communicator.store.database import StoreReplaced, StoreUnavailable
from mqi_communicator.store.verification import verify_indexes
from mqi_communicator.telemetry import http
from mqi_communicator.telemetry.loop_watchdog import LoopWatchdog
from mqi_communicator.telemetry.systemd import Notifier

STORE_PAUSE_S = 5.0
CLOSE_S = 15.0  # for connections, children and threads to end, after the steps under way
HURRY_S = 5.0  # the same after a second signal
RUNNING = "processing cases"  # for systemd


class Stop:
    """Whether a stop was requested, and whether twice. The process ends in time, whatever hangs."""

    def __init__(self, patience_s: float, wake: Callable[[], None]) -> None:
        """`wake` ends what the process waits for."""
        self._wake = wake
        self.requested, self.hurry = asyncio.Event(), asyncio.Event()
        self._patience = patience_s
        self._deadline: threading.Timer | None = None

    def request(self) -> None:
        """Handle SIGTERM or SIGINT."""
        if not self.requested.is_set():
            self.requested.set()
            self._wake()
            self.end_within(self._patience + CLOSE_S)
        elif not self.hurry.is_set():
            self.hurry.set()
            self.end_within(HURRY_S)

    def end_within(self, seconds: float) -> None:
        """End the process after `seconds` at the latest: every step can be begun again."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = threading.Timer(seconds, _end)
        self._deadline.daemon = True
        self._deadline.start()


def _end() -> None:
    structlog.get_logger().error("stop.forced")
    os._exit(1)


async def run(app: App, *, once: bool = False) -> str:
    """Process cases until SIGTERM or SIGINT; with `once`, until no case can continue automatically.

    Returns "stopped", or for `once` "quiet" or "unreachable". Jobs on hosts continue.
    """
    record_socket_folder(app.config.paths.workspace / "worker-socket")
    stop, notifier = Stop(app.config.resources.stop_s, app.driver.wake), Notifier(os.environ)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.request)
    log = structlog.get_logger()
    monitor = None if once else await serve_pages(app)
    if once:  # `run` verifies them beside the first cases, and `once` may end before that is done
        await verify_indexes(app.config.paths.store)
    await _reconcile(app)
    log.info("started", port=None if monitor is None else monitor.port, epoch=app.database.epoch)
    background = [asyncio.create_task(work) for work in background_work(app, once=once)]
    app.looped_at = time.monotonic()
    watchdog = LoopWatchdog(
        lambda: time.monotonic() - app.looped_at, TICK_LIMIT_S, lambda age, where: _log_blocked_loop(app, age, where)
    )
    watchdog.start()
    notifier.ready(RUNNING)
    try:
        end = await _loop(app, stop, background, notifier, once=once)
    finally:
        watchdog.stop()
        notifier.stopping()
        await _close(app, background, monitor, stop)
    log.info("stopped", why=end)
    return end


async def _reconcile(app: App) -> None:
    """Recover what the store has lost, and log a summary."""
    found = await reconcile(app.tools)
    head = await app.database.read(audit.head)
    structlog.get_logger().info("startup.summary", **asdict(found), number=head.id, link=head.link)


async def _loop(
    app: App, stop: Stop, background: Sequence[asyncio.Task[None]], notifier: Notifier, *, once: bool
) -> str:
    reported: RunningStep | None = None
    while not stop.requested.is_set():
        app.looped_at = time.monotonic()
        try:
            idle = await _tick(app, once=once)
        except StoreUnavailable as trouble:
            log_database_error(trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(STORE_PAUSE_S):
                    await stop.requested.wait()
            continue
        if (stuck := app.driver.stuck()) is None:
            notifier.alive()  # the driver has started all that was due, and nothing hangs
        if stuck != reported:
            _report_stuck(stuck, notifier)
            reported = stuck
        for task in background:
            if task.done():
                task.result()
        if idle:
            return idle
    return "stopped"


async def _tick(app: App, *, once: bool) -> str:
    """Start what is due. For `once`, returns why no case can continue automatically, "" while one can."""
    app.database.check_file()
    app.spool.check()
    await app.driver.tick()
    app.driver.check()
    app.ticked_at = time.monotonic()
    if once and app.watched.problem and not app.watched.read:
        raise ActionRequired(app.watched.problem, "Check paths.watch; no case was admitted.")
    if once and app.deliveries.problem and not app.deliveries.read:
        raise ActionRequired(app.deliveries.problem, "Check paths.deliveries; no delivery was received.")
    return await app.driver.idle_reason() if once and app.all_read else ""


def _report_stuck(stuck: RunningStep | None, notifier: Notifier) -> None:
    log = structlog.get_logger()
    if stuck is None:
        log.info("step.recovered")
        notifier.status(RUNNING)
        return
    since = round(time.monotonic() - stuck.began)
    log.error("step.stuck", case=stuck.case, beam=stuck.beam, step=stuck.step, for_s=since, limit_s=stuck.limit_s)
    notifier.status(f"stuck at {stuck.step} of case {stuck.case} for {since} s")


def _log_blocked_loop(app: App, age: float, where: Sequence[str]) -> None:
    """Log that the event loop is blocked. Called from the watchdog's thread."""
    doing = [f"{one.case} {one.beam} {one.step}" for one in app.driver.under_way]
    structlog.get_logger().error("event_loop.blocked", for_s=round(age), under_way=doing, where=where)


async def _close(app: App, background: Sequence[asyncio.Task[None]], monitor: http.Monitor | None, stop: Stop) -> None:
    """Wait for the steps under way, abandon those that take too long, and close everything that was opened."""
    log, doing, gone = structlog.get_logger(), app.driver.under_way, _store_is_gone(app)
    if doing:
        log.info("stopping", under_way=[f"{one.step} of {one.case} {one.beam}" for one in doing])
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    patience_s = 0.0 if gone else app.config.resources.stop_s  # what is written now may meet another store
    for one in await app.driver.stop(patience_s, stop.hurry):
        log.info("step.abandoned", case=one.case, beam=one.beam, step=one.step)
    for host in app.tools.hosts.values():
        await host.poller.close()
        await host.guarded.close()
    if monitor is not None:
        await monitor.close()
    if gone:
        await _rescue(app)
    app.database.close()
    app.lock.release()


def _store_is_gone(app: App) -> bool:
    """Whether the store's file was removed or replaced. Logged if it was."""
    try:
        app.database.check_file()
    except StoreReplaced as gone:
        structlog.get_logger().error("database.lost", why=gone.reason)
        return True
    except StoreUnavailable:
        return False
    return False


async def _rescue(app: App) -> None:
    """Back up a store whose file was removed while this process still has it open."""
    log = structlog.get_logger()
    try:
        made = await asyncio.to_thread(app.database.rescue, app.config.backups, app.config.backup.keep, time.time())
    except Fault as fault:
        log.error("backup.failed", why=fault.reason, advice=fault.advice)  # noqa: TRY400 - the reason is complete
    else:
        log.info("backup.made", file="" if made is None else made.path.name)
