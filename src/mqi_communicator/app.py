"""The composition root: builds everything from the configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import NoReturn

import structlog

from mqi_communicator import gauges
from mqi_communicator.case.faults import ActionRequired, DiskFull
from mqi_communicator.case.model import Event
from mqi_communicator.compute import gpus
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import Scheduler
from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.config import Config, effective_digest
from mqi_communicator.config.hosts import HostOptions
from mqi_communicator.delivery.marker import ResultsMarker
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.dose.mcsquare.engine import MCsquare
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.models import read_beam_models, read_calibrations, read_curves, read_machines
from mqi_communicator.dose.moqui.engine import Moqui
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.hosts.call_budget import CallBudget
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.hosts.guard import Emit, GuardedHost
from mqi_communicator.flow.hosts.poller import JobPoller
from mqi_communicator.flow.steps.table import ALL_STEPS
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.workers.compiled import cache_of
from mqi_communicator.flow.workers.pool import REPORT_PACKAGE, WorkerPool
from mqi_communicator.notify.dispatcher import Dispatcher, channels
from mqi_communicator.remote.host import Host
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.ssh import SshHost
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import work_items
from mqi_communicator.store.backup import back_up, backups, is_blank
from mqi_communicator.store.database import Database, StoreDamaged, needs_upgrade, open_database
from mqi_communicator.store.ownership import StoreLock
from mqi_communicator.store.restore import complete
from mqi_communicator.store.store_file import HeldFolder
from mqi_communicator.store.verification import verify_intact
from mqi_communicator.system.changes import FolderChanges
from mqi_communicator.system.child import ChildProcess
from mqi_communicator.system.durable import make_folder
from mqi_communicator.system.limits import set_limits
from mqi_communicator.telemetry import http, logs, metrics

TICK_LIMIT_S = 60.0  # an iteration of the loop takes seconds
WORKER_PACKAGES = ("mqi_communicator.dose.prepare", "mqi_communicator.dicom")  # what every case needs in workers
LEVELS = {  # of emitted events, where it is not info
    "remote.call": "debug",
    "notify.failed": "warning",
    "notify.incomplete": "warning",
    "results.mismatch": "warning",
    "delivery.refused": "warning",
    "signature.deferred": "warning",
    "notify.internal_error": "error",
    "step.internal_error": "error",
    "database.error": "error",
}


@dataclass(slots=True)
class Arrivals:
    """What the scans of a folder in which cases arrive have found."""

    read: bool = False  # it was read at least once
    problem: str = ""  # why the last scan is untrusted


@dataclass(slots=True)
class App:
    """Everything a running communicator consists of."""

    config: Config
    database: Database
    lock: StoreLock
    tools: Tools
    driver: Driver
    metrics: metrics.Metrics
    spool: HeldFolder
    notifications: Dispatcher | None  # None: no notifications
    dashboard: ChildProcess | None = None  # None: it is not configured
    last_checks: gauges.LastChecks = field(default_factory=gauges.LastChecks)
    ticked_at: float = 0.0  # monotonic seconds: the driver last started all that was due
    looped_at: float = 0.0  # monotonic seconds: the last iteration of the loop, successful or not
    watched: Arrivals = field(default_factory=Arrivals)  # paths.watch
    deliveries: Arrivals = field(default_factory=Arrivals)  # paths.deliveries, if there is one
    results_problem: str = ""  # why nothing is delivered to the results folder

    @property
    def all_read(self) -> bool:
        """Whether every folder in which cases arrive was read at least once."""
        return self.watched.read and (self.deliveries.read or self.config.paths.deliveries is None)


def build(config: Config, *, dashboard: Sequence[str] = ()) -> App:
    """Construct the application and own its store. Raises a fault when it cannot work.

    `dashboard` is the command of the dashboard's process; empty: none.
    """
    set_limits()
    logs.setup(config.monitoring.log_level, console=config.monitoring.log_format == "console")
    make_folders(config)
    engine = build_engine(config)
    lock = StoreLock(config.paths.lock)
    database = open_store(config, lock)
    marker = ResultsMarker(config.paths.results, config.paths.results_id)
    with suppress(ActionRequired):  # a full disk, for example: it is reported, and nothing is delivered until then
        marker.establish()
    app: App
    counters = metrics.Metrics(
        [step.name for step in ALL_STEPS],
        [outcome.value for outcome in CheckOutcome],
        lambda: gauges.read_gauges(config, app.tools, app.driver, app.last_checks),
        dashboard_pid=lambda: None if app.dashboard is None else app.dashboard.pid,
    )

    def emit(event: str, **facts: object) -> None:
        getattr(structlog.get_logger(), LEVELS.get(event, "info"))(event, **facts)
        if event == "remote.call":
            counters.remote(str(facts["operation"]), str(facts["outcome"]), float(str(facts["took_s"])))

    def listen(event: Event) -> None:
        logs.log_event(event)
        counters.fold(event)

    tools = Tools(
        database=database,
        hosts=build_compute_hosts(config, database, emit),
        engine=engine,
        preparation=config.preparation,
        workers=_worker_pool(config, engine),
        workspace=config.paths.workspace,
        results=config.paths.results,
        marker=marker,
        intake=config.intake,
        judgement=config.judgement,
        conventions=config.dose_conventions,
        report=config.report,
        resources=config.resources,
        basis=Basis(version("mqi-communicator"), effective_digest(config)),
        clock=time.time,
        emit=emit,
        extension=config.extension,
        signing=config.signing,
        calibrations=config.calibrations,
    )
    notify = config.notify
    notifications = None if notify is None else Dispatcher(notify, channels(notify), database, time.time, emit)
    child = ChildProcess("dashboard", dashboard) if dashboard else None
    changes = FolderChanges([config.paths.store.parent])
    driver, spool = Driver(tools, config.retry, listen, changes), HeldFolder(config.paths.workspace / "spool")
    app = App(config, database, lock, tools, driver, counters, spool, notifications, child)
    return app


def _worker_pool(config: Config, engine: DoseEngine) -> WorkerPool:
    drawn = (REPORT_PACKAGE,) if config.report.draw else ()
    return WorkerPool(
        memory_gib=config.resources.worker_memory_gib,
        limit_s=config.resources.worker_limit_s,
        cache=cache_of(config.paths.workspace),
        packages=(type(engine).__module__.rpartition(".")[0], *WORKER_PACKAGES, *drawn),
    )


def open_store(config: Config, lock: StoreLock) -> Database:
    """Verify and own the store. StoreDamaged if it is damaged; ActionRequired if another process owns it."""
    lock.hold()
    try:
        complete(config.paths.store, time.time())
        verify_intact(config.paths.store)
        if is_blank(config.paths.store):
            _no_store(config)
        if needs_upgrade(config.paths.store):  # the only way back to the older version
            back_up(config.paths.store, config.backups / BEFORE_UPGRADE, KEPT_BEFORE_UPGRADE, time.time())
        database = open_database(config.paths.store)
        lock.take(database)
    except BaseException:
        lock.release()
        raise
    return database


BEFORE_UPGRADE = "before-upgrade"  # in the folder of the backups
KEPT_BEFORE_UPGRADE = 5


def _no_store(config: Config) -> None:
    """Refuse to create a store where an earlier one is missing."""
    if backups(config.backups):
        raise StoreDamaged(f"the store {config.paths.store} is missing, and there are backups of it", "mqi restore")


def make_folders(config: Config) -> None:
    """Create our own folders; the watched folder must exist, and a results folder that was used before."""
    results = () if config.paths.results_id.is_file() else (config.paths.results,)  # gone later: it is not mounted
    for folder in (config.paths.workspace, config.paths.workspace / "spool", *results):
        try:
            make_folder(folder)
        except OSError as error:
            kind = DiskFull if error.errno in (28, 122) else ActionRequired  # ENOSPC, EDQUOT
            raise kind(f"{folder} cannot be created: {error.strerror}", "check the paths section") from None


def build_host(options: HostOptions) -> Host:
    """A compute host."""
    return LocalHost(options.local) if options.local is not None else SshHost(options.ssh or _never())


def _never() -> NoReturn:
    raise AssertionError("a host is reached over ssh, or it is this machine")


def remote_root(config: Config, options: HostOptions) -> str:
    """The path of our workspace on a host."""
    return options.remote or config.paths.remote


def build_scheduler(config: Config, options: HostOptions) -> Scheduler:
    """The scheduler of a host."""
    root = remote_root(config, options)
    if options.slurm is not None:
        return SlurmScheduler(root, options.slurm)
    query_gpus = options.gpus is not None and not options.gpus.listed
    return DirectScheduler(root, options.direct or DirectOptions(), gpus=query_gpus)


def build_compute_hosts(config: Config, database: Database, emit: Emit) -> dict[str, ComputeHost]:
    """Every configured host, each behind its breakers, all within one limit of calls."""
    budget = CallBudget(config.resources.calls_per_minute)
    hosts = {}
    for options in config.all_hosts:
        host = GuardedHost(build_host(options), database, config.breaker, emit, budget)
        scheduler = build_scheduler(config, options)
        listed = gpus.listed(options.gpus) if options.gpus is not None and options.gpus.listed else None
        query_gpus = options.gpus is not None and listed is None
        slots = options.jobs or config.resources.jobs
        hosts[host.name] = ComputeHost(
            name=host.name,
            guarded=host,
            scheduler=scheduler,
            poller=JobPoller(host, scheduler, database, slots=slots, gpus=listed, query_gpus=query_gpus),
            root=remote_root(config, options),
            slots=slots,
            gpus=options.gpus,
        )
    return hosts


def build_engine(config: Config) -> DoseEngine:
    """The dose engine with this site's beam models and curves."""
    match config.engine:
        case MCsquareOptions():
            return MCsquare(config.engine, read_beam_models(config.machines), read_curves(config.scanners))
        case MoquiOptions():
            return Moqui(config.engine, read_machines(config.machines), read_calibrations(config.scanners))


async def health(app: App) -> http.Health:
    """Healthy: the driver starts what is due, no step has exceeded its limit, and nothing has been due for longer than
    `monitoring.stalled_after_s`."""
    now, age = time.time(), time.monotonic() - app.ticked_at
    coming = await app.database.read(work_items.next_due)
    overdue = 0.0 if coming is None else max(0.0, now - coming)
    ticking = age < TICK_LIMIT_S
    # A step under way has a limit of its own, and others may wait for it to end.
    limit, stuck = app.config.monitoring.stalled_after_s, app.driver.stuck()
    stalled = not app.driver.under_way and overdue > limit and now - app.driver.changed_at > limit
    facts: dict[str, object] = {
        "last_turn_s": round(age, 1),
        "overdue_s": round(overdue, 1),
        "moved_at": app.driver.changed_at,
    }
    if stuck is not None:
        facts |= {"stuck_step": stuck.step, "stuck_s": round(time.monotonic() - stuck.began)}
    return http.Health(ticking and not stalled and stuck is None, facts)


async def ready(app: App) -> http.Health:
    """Ready: the watched folder has been read. The state of the hosts' breakers is added."""
    states = {
        f"{host.name} {kind}": breaker.state
        for host in app.tools.hosts.values()
        for kind, breaker in host.guarded.breakers.items()
    }
    return http.Health(
        app.all_read,
        {
            "watched_folder_read": app.watched.read,
            "watched_folder_doubt": app.watched.problem,
            "deliveries_folder_doubt": app.deliveries.problem,
            "results_folder_doubt": app.results_problem,
            "breakers": states,
        },
    )


async def serve_pages(app: App) -> http.Monitor:
    """Serve the metrics and health pages."""

    async def page() -> bytes:
        app.last_checks.healthy, app.last_checks.watched = (
            (await health(app)).ok,
            app.watched.read and not app.watched.problem,
        )
        app.last_checks.results = not app.results_problem
        app.last_checks.dashboard = None if app.dashboard is None else app.dashboard.reporting
        return await asyncio.to_thread(app.metrics.render)

    return await http.serve(
        app.config.monitoring,
        metrics=page,
        metrics_type=metrics.CONTENT_TYPE,
        health=lambda: health(app),
        ready=lambda: ready(app),
    )
