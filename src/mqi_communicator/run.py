"""A running communicator: the watched folder on one side, the driver on the other, until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from mqi_communicator.app import TURN_S, App, serve_pages
from mqi_communicator.case.faults import ActionRequired, Fault
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.background.constancy import begin_due
from mqi_communicator.flow.background.host_health import check_hosts
from mqi_communicator.flow.background.housekeeping import tidy_hosts
from mqi_communicator.flow.driver import RunningStep
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.workers.kernels import cache_of, make_kernels
from mqi_communicator.gauges import certificates
from mqi_communicator.intake.watch import Watch
from mqi_communicator.store import audit
from mqi_communicator.store.backup import back_up, backups
from mqi_communicator.store.database import StoreGone, StoreTrouble
from mqi_communicator.telemetry import http
from mqi_communicator.telemetry.loop_watchdog import LoopWatchdog
from mqi_communicator.telemetry.systemd import Notifier

if TYPE_CHECKING:
    from mqi_communicator.web.server import Dashboard

STORE_PAUSE_S = 5.0
HOUSE_S = 3600.0
BACKUP_PAUSE_S = 300.0
AROUND_S = 60.0  # after the start, then every ten minutes
CONSTANCY_S = 60.0  # between two looks at which samples are due
CLOSE_S = 15.0  # for connections, children and threads to end, after what was under way
HURRY_S = 5.0  # the same, where somebody asked twice


class Stop:
    """That somebody asked to stop, and whether twice. Whatever hangs then, the process ends in time."""

    def __init__(self, patience_s: float) -> None:
        self.asked, self.hurry = asyncio.Event(), asyncio.Event()
        self._patience = patience_s
        self._deadline: threading.Timer | None = None

    def ask(self) -> None:
        """SIGTERM or SIGINT came."""
        if not self.asked.is_set():
            self.asked.set()
            self.end_within(self._patience + CLOSE_S)
        elif not self.hurry.is_set():
            self.hurry.set()
            self.end_within(HURRY_S)

    def end_within(self, seconds: float) -> None:
        """From now on the process lives so long at the most: everything can be begun again."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = threading.Timer(seconds, _end)
        self._deadline.daemon = True
        self._deadline.start()


def _end() -> None:
    structlog.get_logger().error("stop.forced")
    os._exit(1)


async def run(app: App, *, once: bool = False) -> str:
    """Work until SIGTERM or SIGINT; with `once`, until nothing moves by itself any more.

    Returns "stopped", or for `once` "quiet" or "unreachable". Jobs on the host are never ended by this.
    """
    stop, notifier = Stop(app.config.resources.stop_s), Notifier(os.environ)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.ask)
    log = structlog.get_logger()
    monitor = None if once else await serve_pages(app)
    await _take_stock(app)
    board = None if once else _board(app)
    log.info("started", port=None if monitor is None else monitor.port, epoch=app.database.epoch)
    beside = [asyncio.create_task(work) for work in (_watch(app), _keep_house(app), _back_up(app), _compile(app))]
    if monitor is not None:
        beside.append(asyncio.create_task(_look_around(app)))
        if app.config.constancy:
            beside.append(asyncio.create_task(_keep_constant(app)))
        if app.post is not None:
            beside.append(asyncio.create_task(app.post.run()))
    app.turned_at = time.monotonic()
    lookout = LoopWatchdog(
        lambda: time.monotonic() - app.turned_at, TURN_S, lambda age, where: _tell_hang(app, age, where)
    )
    lookout.begin()
    notifier.ready("taking cases")
    try:
        end = await _turn(app, stop, beside, notifier, once=once)
    finally:
        lookout.end()
        notifier.stopping()
        if board is not None:
            await board.close()
        await _close(app, beside, monitor, stop)
    log.info("stopped", why=end)
    return end


def _board(app: App) -> Dashboard | None:
    """The dashboard, where the site wants one. Its libraries are loaded for it alone."""
    if app.config.web is None:
        return None
    from mqi_communicator.dashboard import open_dashboard

    return open_dashboard(app.config, app.config.web, lambda: True)


async def _turn(app: App, stop: Stop, beside: Sequence[asyncio.Task[None]], notifier: Notifier, *, once: bool) -> str:
    told: RunningStep | None = None
    while not stop.asked.is_set():
        app.turned_at = time.monotonic()
        try:
            rest = await _one_turn(app, once=once)
        except StoreTrouble as trouble:
            structlog.get_logger().error("database.error", why=trouble.reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(STORE_PAUSE_S):
                    await stop.asked.wait()
            continue
        if (stuck := app.driver.stuck()) is None:
            notifier.alive()  # the driver got through all that was due, and nothing hangs
        if stuck != told:
            _tell_stuck(stuck, notifier)
            told = stuck
        for task in beside:
            if task.done():
                task.result()
        if rest:
            return rest
    return "stopped"


def _tell_stuck(stuck: RunningStep | None, notifier: Notifier) -> None:
    log = structlog.get_logger()
    if stuck is None:
        log.info("step.recovered")
        notifier.status("taking cases")
        return
    since = round(time.monotonic() - stuck.began)
    log.error("step.stuck", case=stuck.case, beam=stuck.beam, step=stuck.step, for_s=since, limit_s=stuck.limit_s)
    notifier.status(f"stuck at {stuck.step} of case {stuck.case} for {since} s")


def _tell_hang(app: App, age: float, where: Sequence[str]) -> None:
    """The loop itself does not come round: from the lookout's thread."""
    doing = [f"{one.case} {one.beam} {one.step}" for one in app.driver.under_way]
    structlog.get_logger().error("event_loop.blocked", for_s=round(age), under_way=doing, where=where)


async def _one_turn(app: App, *, once: bool) -> str:
    """Move what is due; for `once`, why nothing moves by itself any more, else ""."""
    app.database.check_file()
    await app.driver.tick()
    app.driver.check()
    app.ticked_at = time.monotonic()
    if once and app.folder_problem and not app.folder_read:
        raise ActionRequired(app.folder_problem, "look at paths.watch; nothing was taken in")
    return await app.driver.idle_reason() if once and app.folder_read else ""


async def _watch(app: App) -> None:
    """Every look at the watched folder: what is new or has changed there wakes the driver."""
    log = structlog.get_logger()
    async for tick in Watch(app.config.paths.watch, app.config.intake).scans():
        if tick.problem != app.folder_problem:
            log.warning("watch.untrusted", why=tick.problem) if tick.problem else log.info("watch.trusted")
            app.folder_problem = tick.problem
        if tick.listing is None:
            continue
        try:
            if await register_arrivals([app.config.paths.watch / name for name in tick.listing.folders], app.tools):
                app.driver.wake()
        except StoreTrouble as trouble:
            log.error("database.error", why=trouble.reason)  # noqa: TRY400 - its reason says all; the next look repeats it
        else:
            app.folder_read = True


async def _keep_house(app: App) -> None:
    """Now and then, what ended cases left on hosts goes."""
    while True:
        await asyncio.sleep(HOUSE_S)
        try:
            await tidy_hosts(app.tools)
        except StoreTrouble as trouble:
            structlog.get_logger().error("database.error", why=trouble.reason)


async def _compile(app: App) -> None:
    """What is compiled is there before a case needs it; if it cannot be, the first case that does takes longer."""
    try:
        await make_kernels(app.tools.workers, cache_of(app.config.paths.workspace))
    except Fault as fault:
        structlog.get_logger().warning("kernels.missing", why=fault.reason)


async def _keep_constant(app: App) -> None:
    """Constancy samples that are due become cases. What keeps one from it is told once."""
    log = structlog.get_logger()
    told: dict[str, str] = {}
    while True:
        try:
            begun, troubles = await begin_due(app.config.constancy, app.tools)
        except StoreTrouble as trouble:
            log.error("database.error", why=trouble.reason)  # noqa: TRY400 - its reason says all; the next look repeats it
        else:
            for name, why in troubles.items():
                if told.get(name) != why:
                    log.warning("constancy.not_started", name=name, why=why)
            told = troubles
            if begun:
                app.driver.wake()
        await asyncio.sleep(CONSTANCY_S)


async def _take_stock(app: App) -> None:
    """Say what there is, and take up again what the store has forgotten."""
    found = await reconcile(app.tools)
    head = await app.database.read(audit.head)
    structlog.get_logger().info("startup.summary", **asdict(found), number=head.id, link=head.link)


async def _back_up(app: App) -> None:
    """A copy of the store whenever the last one is old enough; one that fails is told and tried again."""
    log, options = structlog.get_logger(), app.config.backup
    while True:
        try:
            newest = next(iter(await asyncio.to_thread(backups, app.config.backups)), None)
            age = options.every_s if newest is None else time.time() - newest.made
            await asyncio.sleep(max(0.0, min(options.every_s, options.every_s - age)))
            made = await asyncio.to_thread(
                back_up, app.config.paths.store, app.config.backups, options.keep, time.time()
            )
            head = await app.database.read(audit.head)
        except Fault as fault:
            log.error("backup.failed", why=fault.reason, advice=fault.advice)  # noqa: TRY400 - its reason says all
            await asyncio.sleep(min(options.every_s, BACKUP_PAUSE_S))
        else:
            log.info("backup.made", file=made.path.name)
            log.info("audit.head", number=head.id, link=head.link)


async def _look_around(app: App) -> None:
    """Now and then: the clocks and disks of the hosts, and when our certificates end; for the metrics page."""
    pause = AROUND_S
    while True:
        await asyncio.sleep(pause)
        pause = 10 * AROUND_S
        app.seen.certificate_ends = await asyncio.to_thread(certificates, app.config)
        app.seen.hosts = await check_hosts(app.tools)


async def _close(app: App, beside: Sequence[asyncio.Task[None]], monitor: http.Monitor | None, stop: Stop) -> None:
    """Let what is under way end, or abandon it; then everything that was opened is closed."""
    log, doing, gone = structlog.get_logger(), app.driver.under_way, _is_gone(app)
    if doing:
        log.info("stopping", under_way=[f"{one.step} of {one.case} {one.beam}" for one in doing])
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    patience_s = 0.0 if gone else app.config.resources.stop_s  # what is written now may meet another store
    for one in await app.driver.stop(patience_s, stop.hurry):
        log.info("step.abandoned", case=one.case, beam=one.beam, step=one.step)
    await app.tools.workers.close()
    for host in app.tools.hosts.values():
        await host.poller.close()
        await host.guarded.close()
    if monitor is not None:
        await monitor.close()
    if gone:
        await _rescue(app)
    app.database.close()
    app.lock.release()


def _is_gone(app: App) -> bool:
    """Whether the store's file was removed or replaced: told at once."""
    try:
        app.database.check_file()
    except StoreGone as gone:
        structlog.get_logger().error("database.lost", why=gone.reason)
        return True
    except StoreTrouble:
        return False
    return False


async def _rescue(app: App) -> None:
    """A file that was removed is still open here: what it holds becomes a backup while it can."""
    log = structlog.get_logger()
    try:
        made = await asyncio.to_thread(app.database.rescue, app.config.backups, app.config.backup.keep, time.time())
    except Fault as fault:
        log.error("backup.failed", why=fault.reason, advice=fault.advice)  # noqa: TRY400 - its reason says all
    else:
        log.info("backup.made", file="" if made is None else made.path.name)
