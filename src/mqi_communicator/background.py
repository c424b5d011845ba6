"""What runs beside the driver: the watched folder, backups, housekeeping, host health, constancy samples, and the
dashboard's process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from mqi_communicator.app import App, Arrivals
from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import CaseKind
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.background.constancy import begin_due
from mqi_communicator.flow.background.host_health import check_hosts
from mqi_communicator.flow.background.housekeeping import tidy_hosts
from mqi_communicator.flow.background.identities import fill_identities
from mqi_communicator.flow.workers.compiled import cache_of
from mqi_communicator.flow.workers.kernels import make_kernels
from mqi_communicator.gauges import certificates
from mqi_communicator.intake.rota import ScanRota
from mqi_communicator.intake.watch import Watch
from mqi_communicator.store import audit
from mqi_communicator.store.backup import back_up, backups
from mqi_communicator.store.database import StoreUnavailable
from mqi_communicator.store.verification import verify_indexes

HOUSEKEEPING_S = 3600.0
BACKUP_PAUSE_S = 300.0  # after a backup that failed
VERIFY_AGAIN_S = 300.0  # after the store could not be read
HEALTH_S = 600.0
FIRST_HEALTH_S = 60.0
CONSTANCY_S = 60.0
RESULTS_S = 5.0
RESULTS_PATIENCE_S = 30.0


async def periodic(interval_s: float, work: Callable[[], Awaitable[float | None]], *, first_s: float = 0.0) -> None:
    """Run `work` after `first_s`, and again `interval_s` after each run, or as many seconds later as it returns.

    A database error is logged, and the work is tried again after `interval_s`. Other exceptions end it.
    """
    pause: float | None = first_s
    while True:
        await asyncio.sleep(interval_s if pause is None else pause)
        pause = None
        try:
            pause = await work()
        except StoreUnavailable as trouble:
            log_database_error(trouble)


def log_database_error(trouble: StoreUnavailable) -> None:
    """Log the reason alone: a traceback adds nothing, and the operation is repeated."""
    structlog.get_logger().error("database.error", why=trouble.reason)


def background_work(app: App, *, once: bool) -> list[Coroutine[Any, Any, None]]:
    """Everything that runs beside the driver. `once`: only what the cases need."""
    paths = app.config.paths
    work = [
        watch_arrivals(app, paths.watch, CaseKind.PLAN, app.watched),
        watch_results(app),
        periodic(HOUSEKEEPING_S, partial(_tidy_hosts, app), first_s=HOUSEKEEPING_S),
        periodic(app.config.backup.every_s, partial(back_up_if_due, app)),
        _compile_kernels(app),
    ]
    if paths.deliveries is not None:
        work.append(watch_arrivals(app, paths.deliveries, CaseKind.DELIVERY, app.deliveries, "paths.deliveries: "))
    if once:
        return work
    work.append(app.driver.heed_changes())
    work.append(_fill_identities(app))
    work.append(verify_store(app.config.paths.store))
    work.append(periodic(HEALTH_S, partial(_check_health, app), first_s=FIRST_HEALTH_S))
    if app.config.constancy:
        work.append(periodic(CONSTANCY_S, ConstancyCheck(app).run))
    if app.dashboard is not None:
        work.append(app.dashboard.run())
    if app.notifications is not None:
        work.append(app.notifications.run())
    return work


async def verify_store(path: Path) -> None:
    """Verify the whole store once; again after a pause if it cannot be read. StoreDamaged if it is damaged."""
    while True:
        try:
            return await verify_indexes(path)
        except StoreUnavailable as trouble:
            log_database_error(trouble)
        await asyncio.sleep(VERIFY_AGAIN_S)


async def watch_arrivals(app: App, root: Path, kind: CaseKind, found: Arrivals, named: str = "") -> None:
    """Register new and changed folders after each scan, and wake the driver. `named`: begins a message about `root`."""
    log, rota = structlog.get_logger(), ScanRota()
    reported: frozenset[str] = frozenset()
    async for scan in Watch(root, app.config.intake).scans():
        problem = f"{named}{scan.problem}" if scan.problem else ""
        if problem != found.problem:
            log.warning("watch.untrusted", why=problem) if problem else log.info("watch.trusted")
            found.problem = problem
        reported |= scan.reported
        if scan.listing is None:
            continue
        names = rota.choose(scan.listing.folders, reported)
        try:
            if changed := await register_arrivals([root / name for name in names], app.tools, kind):
                app.driver.wake()
        except StoreUnavailable as trouble:
            log_database_error(trouble)
        else:
            rota.note(names, {folder.name for folder in changed})
            reported, found.read = frozenset(), True


async def watch_results(app: App) -> None:
    """Report within seconds that the results folder is no longer the one recorded, and that it is again."""
    log, pending = structlog.get_logger(), None
    while True:
        pending = pending or asyncio.create_task(asyncio.to_thread(app.tools.marker.verify))
        problem = advice = ""
        done, _ = await asyncio.wait([pending], timeout=RESULTS_PATIENCE_S)
        if not done:
            problem, advice = "the results folder does not respond; its share seems to hang", "check the share"
        else:
            if isinstance(fault := pending.exception(), Fault):
                problem, advice = fault.reason, fault.advice
            elif fault is not None:
                raise fault
            pending = None
        if problem != app.results_problem:
            app.results_problem = problem
            log.warning("results.untrusted", why=problem, advice=advice) if problem else log.info("results.trusted")
        await asyncio.sleep(RESULTS_S)


async def back_up_if_due(app: App) -> float:
    """Copy the store if the newest backup is old enough. Returns the seconds until the next backup or retry."""
    log, options = structlog.get_logger(), app.config.backup
    try:
        newest = next(iter(await asyncio.to_thread(backups, app.config.backups)), None)
        due_in = 0.0 if newest is None else newest.made + options.every_s - time.time()
        if due_in > 0:
            return min(options.every_s, due_in)  # the clock may have been set back since
        made = await asyncio.to_thread(back_up, app.config.paths.store, app.config.backups, options.keep, time.time())
        head = await app.database.read(audit.head)
    except Fault as fault:
        log.error("backup.failed", why=fault.reason, advice=fault.advice)  # noqa: TRY400 - the reason is complete
        return min(options.every_s, BACKUP_PAUSE_S)
    log.info("backup.made", file=made.path.name)
    log.info("audit.head", number=head.id, link=head.link)
    return options.every_s


class ConstancyCheck:
    """Makes cases of the constancy samples that are due. Logs each new reason why one could not be made."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._reported: dict[str, str] = {}

    async def run(self) -> None:
        """Check every sample of the configuration once."""
        begun, problems = await begin_due(self._app.config.constancy, self._app.tools)
        for name, why in problems.items():
            if self._reported.get(name) != why:
                structlog.get_logger().warning("constancy.not_started", name=name, why=why)
        self._reported = problems
        if begun:
            self._app.driver.wake()


async def _tidy_hosts(app: App) -> None:
    await tidy_hosts(app.tools)


async def _check_health(app: App) -> None:
    """Read the clocks and disks of the hosts and the expiry of SSH certificates, for the metrics page."""
    app.last_checks.certificate_ends = await asyncio.to_thread(certificates, app.config)
    app.last_checks.hosts = await check_hosts(app.tools)


async def _fill_identities(app: App) -> None:
    """Once after each start. What a database error leaves is filled after the next one."""
    try:
        await fill_identities(app.tools)
    except StoreUnavailable as trouble:
        log_database_error(trouble)


async def _compile_kernels(app: App) -> None:
    """Compile before a case needs it. Where that fails, the first case that needs a kernel takes longer."""
    try:
        await make_kernels(app.tools.workers, cache_of(app.config.paths.workspace))
    except Fault as fault:
        structlog.get_logger().warning("kernels.missing", why=fault.reason)
