"""A communicator's metrics page over a real store and real hosts, with everything wrong that an alert knows of."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from mqi_communicator.app import build_compute_hosts, build_engine
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.compute.gpus import Gpu, Inventory
from mqi_communicator.config import Config, load
from mqi_communicator.delivery.marker import ResultsMarker
from mqi_communicator.demo.settings import demo_sections
from mqi_communicator.flow.background.host_health import check_hosts
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.hosts.breaker import Breaker
from mqi_communicator.flow.steps.table import BEAM_STEPS, CASE_STEPS
from mqi_communicator.flow.tools import Tools
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.gauges import LastChecks, read_gauges
from mqi_communicator.remote import workspace
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import cases, jobs, work_items
from mqi_communicator.store.database import open_database
from mqi_communicator.telemetry import http
from mqi_communicator.telemetry.metrics import CONTENT_TYPE, Metrics
from mqi_communicator.telemetry.options import MonitoringOptions

ENGINE = Path(os.environ.get("MQI_ENGINE_HOME", Path(__file__).parents[2] / ".setup/mcsquare"))
KEYS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc")
PRIORITIES = ("urgent", "routine", "background")
TEN_DAYS = 10 * 86400.0


@dataclass
class BrokenSite:
    """What a test may turn."""

    config: Config
    tools: Tools
    driver: Driver
    seen: LastChecks
    metrics: Metrics

    def trouble(self) -> None:
        """Every try of today: three beams failed, one waits for somebody, one ended well, calls went well and badly."""
        now = time.time()
        done: dict[str, object] = {"took_s": 3.0, "word": "fail", "sent_bytes": 10**6, "fetched_bytes": 10**7}
        speed: dict[str, object] = {"histories": 10**6, "job_started": now - 100, "job_ended": now, "took_s": 2.0}
        tries: tuple[tuple[str, str, dict[str, object]], ...] = (
            ("step.failed", "follow", {"took_s": 1.0}),
            ("step.failed", "follow", {"took_s": 2.0}),
            ("step.failed", "follow", {"took_s": 3.0}),
            ("step.action_required", "upload", {"took_s": 1.0}),
            ("step.retried", "upload", {"took_s": 1.0}),
            ("step.done", "follow", speed),
            ("step.done", "deliver", done),
        )
        for name, step, facts in tries:
            self.metrics.fold(Event(now, KEYS[0], 1, name, step, facts=facts))
        for outcome in ("done", "unreachable"):
            self.metrics.remote("send", outcome, 0.7)


def configured(folder: Path) -> Config:
    """Two hosts with GPUs, both this machine; more must stay free on each disk than any disk has."""
    for name in ("watch", "work", "results"):
        (folder / name).mkdir()
    settings = {
        "paths": {**{name: str(folder / name) for name in ("watch", "results")}, "workspace": str(folder / "work"),
                  "remote": str(folder / "remote")},
        "hosts": [{"local": {"name": name}, "gpus": {}, "remote": str(folder / name)} for name in ("gpu1", "gpu2")],
        **demo_sections(ENGINE),
        "resources": {"local_free_gib": 1e9, "remote_free_gib": 1e9},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return load(folder / "config.yaml")


def fill(tools: Tools) -> None:
    """Three old cases, one of each priority; a beam of the first computes on a GPU, another waits for somebody."""
    database, now = tools.database, time.time()
    for key, priority in zip(KEYS, PRIORITIES, strict=True):
        old = cases.Case(key, Path("/in") / key, now - TEN_DAYS, "f", priority=priority, host="gpu1")
        database.write_now(cases.add, old)
        own = WorkItem(key, CASE_ITEM, "compare", since=now - TEN_DAYS)
        database.write_now(work_items.add, own, Event(now, key, CASE_ITEM, "case.seen"))
    for beam, step, asks in ((1, "follow", False), (2, "collect", True), (3, "submit", False)):
        item = WorkItem(KEYS[0], beam, step, Status.WAITING, since=now - 60, needs_person=asks)
        database.write_now(work_items.add, item, Event(now, KEYS[0], beam, "beam.started"))
    running = jobs.JobRow(f"{KEYS[0]}-b1-r1", KEYS[0], 1, 1, "gpu1", jobs.CLAIMED, active=False, claimed=now)
    database.write_now(jobs.claim, running, jobs.HostCapacity(1, ("GPU-0", "GPU-1"), 1, 1))
    database.write_now(jobs.claim, replace(running, token=f"{KEYS[0]}-b3-r1", beam=3), jobs.HostCapacity(1))


@asynccontextmanager
async def broken_site(folder: Path) -> AsyncIterator[BrokenSite]:
    """The pieces of a communicator, without the loop that would make them well."""
    config = configured(folder)
    database = open_database(config.paths.store)
    hosts = build_compute_hosts(config, database, lambda *_, **__: None)
    tools = Tools(
        database, hosts, build_engine(config), config.preparation, WorkerPool(memory_gib=1, limit_s=60),
        config.paths.workspace,
        config.paths.results, ResultsMarker(config.paths.results, config.paths.results_id),
        config.intake, config.judgement, config.dose_conventions, config.report, config.resources,
        Basis("0", "0"), time.time, lambda *_, **__: None,
    )  # fmt: skip
    driver, seen = (
        Driver(tools, config.retry, lambda _: None),
        LastChecks(healthy=False, watched=False, results=False, dashboard=False),
    )
    metrics = Metrics(
        [step.name for step in (*CASE_STEPS, *BEAM_STEPS)],
        [outcome.value for outcome in CheckOutcome],
        lambda: read_gauges(config, tools, driver, seen),
    )
    try:
        fill(tools)
        for host in hosts.values():
            workspace.read_workspace(await host.guarded.request(workspace.workspace(host.root), deadline=60))
        seen.hosts = await check_hosts(tools)
        seen.hosts = {**seen.hosts, "gpu2": replace(seen.hosts["gpu2"], clock_offset_s=-7.0)}
        seen.certificate_ends = {"gpu1": time.time() + 86400}
        hosts["gpu1"].poller.gpus = Inventory(
            (
                Gpu("0", "GPU-0", 143771, 97344, 98, 64, ours_mib=97344),
                Gpu("1", "GPU-1", 143771, 0, 0, 30),
                Gpu("2", "GPU-2", 143771, 9000, 60, 50, foreign=(77,)),
            )
        )
        hosts["gpu2"].guarded.breakers["bulk"] = Breaker("open", why="no route")
        yield BrokenSite(config, tools, driver, seen, metrics)
    finally:
        for host in hosts.values():
            await host.guarded.close()
        database.close()


@asynccontextmanager
async def served(site: BrokenSite) -> AsyncIterator[int]:
    """The page of a site on a port of its own."""

    async def page() -> bytes:
        return site.metrics.render()

    async def well() -> http.Health:
        return http.Health(ok=True)

    options = MonitoringOptions(metrics_port=0)
    monitor = await http.serve(options, metrics=page, metrics_type=CONTENT_TYPE, health=well, ready=well)
    try:
        yield monitor.port
    finally:
        await monitor.close()
