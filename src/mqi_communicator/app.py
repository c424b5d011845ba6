"""The composition root: builds everything from the configuration. The only file that constructs anything."""

from __future__ import annotations

import asyncio
import os
import resource
import time
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
from mqi_communicator.flow.steps.table import BEAM_STEPS, CASE_STEPS
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.workers.kernels import cache_of
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.notify.dispatcher import Dispatcher, channels
from mqi_communicator.remote.host import Host
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.ssh import SshHost
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import work_items
from mqi_communicator.store.backup import backups, is_blank
from mqi_communicator.store.database import Database, StoreDamaged, open_database, verify_intact
from mqi_communicator.store.ownership import StoreLock
from mqi_communicator.store.restore import complete
from mqi_communicator.telemetry import http, logs, metrics

TICK_LIMIT_S = 60.0  # a turn of the loop takes one second
LEVELS = {  # of emitted events, where it is not info
    "remote.call": "debug",
    "notify.failed": "warning",
    "results.mismatch": "warning",
    "notify.internal_error": "error",
    "step.internal_error": "error",
    "database.error": "error",
}


@dataclass(slots=True)
class App:
    """Everything a running communicator consists of."""

    config: Config
    database: Database
    lock: StoreLock
    tools: Tools
    driver: Driver
    metrics: metrics.Metrics
    post: Dispatcher | None  # None: nobody is told anything
    seen: gauges.Seen = field(default_factory=gauges.Seen)
    ticked_at: float = 0.0  # monotonic seconds: when the driver last got through all that was due
    looped_at: float = 0.0  # monotonic seconds: when the loop last came round, be it without having got through
    folder_read: bool = False  # whether the watched folder has been read at least once
    folder_problem: str = ""  # why the last look at the watched folder is not believed


def build(config: Config) -> App:
    """Construct the application and own its store. Raises a fault, in words, when it cannot work."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logs.setup(config.monitoring.log_level, console=config.monitoring.log_format == "console")
    make_folders(config)
    engine = build_engine(config)
    lock = StoreLock(config.paths.lock)
    database = open_store(config, lock)
    app: App
    counters = metrics.Metrics(
        [step.name for step in (*CASE_STEPS, *BEAM_STEPS)],
        [outcome.value for outcome in CheckOutcome],
        lambda: gauges.read_gauges(config, app.tools, app.driver, app.seen),
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
        workers=WorkerPool(
            memory_gib=config.resources.worker_memory_gib,
            limit_s=config.resources.worker_limit_s,
            cache=cache_of(config.paths.workspace),
        ),
        workspace=config.paths.workspace,
        results=config.paths.results,
        intake=config.intake,
        judgement=config.judgement,
        conventions=config.dose_conventions,
        report=config.report,
        resources=config.resources,
        basis=Basis(version("mqi-communicator"), effective_digest(config)),
        clock=time.time,
        emit=emit,
        extension=config.extension,
    )
    told = config.notify
    post = None if told is None else Dispatcher(told, channels(told), database, time.time, emit)
    app = App(config, database, lock, tools, Driver(tools, config.retry, listen), counters, post)
    return app


def open_store(config: Config, lock: StoreLock) -> Database:
    """Own the store, and prove it whole first. StoreDamaged if it is not; ActionRequired if somebody else owns it."""
    lock.hold()
    try:
        complete(config.paths.store, time.time())
        verify_intact(config.paths.store)
        if is_blank(config.paths.store):
            _no_store(config)
        database = open_database(config.paths.store)
        lock.take(database)
    except BaseException:
        lock.release()
        raise
    return database


def _no_store(config: Config) -> None:
    """A new store begins where none ever was; one that vanished is not replaced in silence."""
    if backups(config.backups):
        raise StoreDamaged(f"the store {config.paths.store} is gone, and there are backups of it", "mqi restore")


def make_folders(config: Config) -> None:
    """Create our own folders; the watched folder belongs to others."""
    for folder in (config.paths.workspace, config.paths.workspace / "spool", config.paths.results):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            kind = DiskFull if error.errno in (28, 122) else ActionRequired  # ENOSPC, EDQUOT
            raise kind(f"{folder} cannot be created: {error.strerror}", "check the paths section") from None


def build_host(options: HostOptions) -> Host:
    """A compute host."""
    return LocalHost(options.local) if options.local is not None else SshHost(options.ssh or _never())


def _never() -> NoReturn:
    raise AssertionError("a host is reached over ssh, or it is this machine")


def remote_root(config: Config, options: HostOptions) -> str:
    """Our workspace on a host."""
    return options.remote or config.paths.remote


def build_scheduler(config: Config, options: HostOptions) -> Scheduler:
    """Who runs jobs there."""
    root = remote_root(config, options)
    if options.slurm is not None:
        return SlurmScheduler(root, options.slurm)
    asks = options.gpus is not None and not options.gpus.listed
    return DirectScheduler(root, options.direct or DirectOptions(), gpus=asks)


def build_compute_hosts(config: Config, database: Database, emit: Emit) -> dict[str, ComputeHost]:
    """Every host of the configuration, each behind its breakers, all within one limit of calls."""
    budget = CallBudget(config.resources.calls_per_minute)
    hosts = {}
    for options in config.all_hosts:
        host = GuardedHost(build_host(options), database, config.breaker, emit, budget)
        scheduler = build_scheduler(config, options)
        listed = gpus.listed(options.gpus) if options.gpus is not None and options.gpus.listed else None
        asks = options.gpus is not None and listed is None
        slots = options.jobs or config.resources.jobs
        hosts[host.name] = ComputeHost(
            name=host.name,
            guarded=host,
            scheduler=scheduler,
            poller=JobPoller(host, scheduler, database, slots=slots, gpus=listed, query_gpus=asks),
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
    """Alive: the driver gets through what is due. Moving: no step has outlived its limit, and nothing that is due has
    been left lying for longer than anything should take."""
    now, age = time.time(), time.monotonic() - app.ticked_at
    coming = await app.database.read(work_items.next_due)
    overdue = 0.0 if coming is None else max(0.0, now - coming)
    turning = age < TICK_LIMIT_S
    # A step under way has a limit of its own, and others may wait for its turn to end: that is no standstill.
    limit, stuck = app.config.monitoring.stalled_after_s, app.driver.stuck()
    stalled = not app.driver.under_way and overdue > limit and now - app.driver.changed_at > limit
    facts: dict[str, object] = {
        "last_turn_s": round(age, 1),
        "overdue_s": round(overdue, 1),
        "moved_at": app.driver.changed_at,
    }
    if stuck is not None:
        facts |= {"stuck_step": stuck.step, "stuck_s": round(time.monotonic() - stuck.began)}
    return http.Health(turning and not stalled and stuck is None, facts)


async def ready(app: App) -> http.Health:
    """The watched folder has been read; whether the host answers stands beside it."""
    states = {
        f"{host.name} {kind}": breaker.state
        for host in app.tools.hosts.values()
        for kind, breaker in host.guarded.breakers.items()
    }
    return http.Health(
        app.folder_read,
        {"watched_folder_read": app.folder_read, "watched_folder_doubt": app.folder_problem, "breakers": states},
    )


async def serve_pages(app: App) -> http.Monitor:
    """The pages for machines."""

    async def page() -> bytes:
        app.seen.healthy, app.seen.watched = (await health(app)).ok, app.folder_read and not app.folder_problem
        return await asyncio.to_thread(app.metrics.render)

    return await http.serve(
        app.config.monitoring,
        metrics=page,
        metrics_type=metrics.CONTENT_TYPE,
        health=lambda: health(app),
        ready=lambda: ready(app),
    )
