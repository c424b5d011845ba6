"""Reads the current values of the gauges, for the metrics page."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import CASE_ITEM, Priority, Status
from mqi_communicator.compute.gpus import reason_unusable
from mqi_communicator.config import Config
from mqi_communicator.flow.background.host_health import HostHealth
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.table import ALL_STEPS
from mqi_communicator.flow.tools import Tools
from mqi_communicator.remote.certificate import certificate_of, expires
from mqi_communicator.store import cases, jobs, work_items
from mqi_communicator.store.backup import backups
from mqi_communicator.telemetry.metrics import Reading

GIB, MIB = 1 << 30, 1 << 20
STEPS = tuple(step.name for step in ALL_STEPS)
PRIORITIES = tuple(priority.value for priority in Priority)


@dataclass(slots=True)
class LastChecks:
    """The last results of the periodic checks."""

    healthy: bool = True  # what /healthz reports
    watched: bool = False  # the last scan of the watched folder is trusted
    results: bool = True  # the results folder has its marker
    dashboard: bool | None = None  # its process runs and responds; None: it is not configured
    hosts: Mapping[str, HostHealth] = field(default_factory=dict)
    certificate_ends: Mapping[str, float] = field(default_factory=dict)  # host -> epoch seconds
    backup_made: float | None = None  # epoch seconds: the newest backup


def read_gauges(config: Config, tools: Tools, driver: Driver, last_checks: LastChecks) -> Reading:
    """The current values of the gauges. Called at scrape time, in a thread of its own."""
    hosts = list(tools.hosts.values())
    with suppress(Fault):  # while its disk is offline, the last known backup keeps ageing
        last_checks.backup_made = next((one.made for one in backups(config.backups)), None)
    known = {name: one for name, one in last_checks.hosts.items() if name in tools.hosts}
    reserve, there = config.resources.local_free_gib * GIB, config.resources.remote_free_gib * GIB
    reading = Reading(
        last_progress=driver.changed_at,
        healthy=last_checks.healthy,
        watched=last_checks.watched,
        results=last_checks.results,
        dashboard=last_checks.dashboard,
        breakers={(p.name, kind): breaker.state for p in hosts for kind, breaker in p.guarded.breakers.items()},
        in_use=driver.in_use,
        limits=driver.limits,
        disk_free=_free({"local": tools.workspace, "results": tools.results}),
        disk_reserve={"local": reserve, "results": reserve},
        host_free={name: float(one.free_bytes) for name, one in known.items() if one.free_bytes is not None},
        host_reserve=dict.fromkeys(tools.hosts, there),
        clock_offset_s={name: one.clock_offset_s for name, one in known.items() if one.clock_offset_s is not None},
        certificate_ends=last_checks.certificate_ends,
        backup_age_s=None if last_checks.backup_made is None else max(0.0, time.time() - last_checks.backup_made),
        version=version("mqi-communicator"),
    )
    return _with_gpus(_with_queues(reading, tools), tools, hosts)


def certificates(config: Config) -> dict[str, float]:
    """When the SSH certificates beside our keys expire, by host (epoch seconds)."""
    keys = {host.name: host.ssh.identity_file for host in config.all_hosts if host.ssh and host.ssh.identity_file}
    found = {name: expires(certificate_of(key)) for name, key in keys.items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def _with_queues(reading: Reading, tools: Tools) -> Reading:
    now, live = time.time(), tools.database.read_now(work_items.live)
    held = {item.case for item in live if item.beam == CASE_ITEM and item.status is Status.HELD}
    waiting = [item for item in live if item.status is not Status.HELD]
    under_way = [case for case in tools.database.read_now(cases.unfinished) if case.key not in held]
    return replace(
        reading,
        items=Counter((item.step, str(item.status)) for item in live),
        action_required=dict.fromkeys(STEPS, 0) | Counter(item.step for item in live if item.needs_person),
        queue_age_s=_oldest(((item.step, now - item.since) for item in waiting), STEPS),
        case_age_s=_oldest(((case.priority, now - case.seen) for case in under_way), PRIORITIES),
        oldest_waiting_s=max((now - item.since for item in live), default=0.0),
    )


def _oldest(ages: Iterable[tuple[str, float]], names: Iterable[str]) -> dict[str, float]:
    """The greatest age of each name; 0 where there is none, so that a graph falls back."""
    found = dict.fromkeys(names, 0.0)
    for name, age in ages:
        found[name] = max(found.get(name, 0.0), age)
    return found


def _with_gpus(reading: Reading, tools: Tools, hosts: Sequence[ComputeHost]) -> Reading:
    held = {host.name: tools.database.read_now(jobs.active, host.name) for host in hosts}
    queued = {host.name: len(tools.database.read_now(jobs.queued, host.name)) for host in hosts}
    with_gpus = [host for host in hosts if host.gpus is not None]
    uses: dict[tuple[str, str], int] = {}
    for host in with_gpus:
        leased = {name for job in held[host.name] for name in job.gpus.split(",") if name}
        uses |= {(host.name, use): count for use, count in _uses(host, leased).items()}
    gpus = [(host.name, gpu) for host in with_gpus for gpu in host.poller.gpus.gpus]
    return replace(
        reading,
        jobs={name: len(rows) for name, rows in held.items()},
        job_slots={host.name: host.slots for host in hosts},
        jobs_waiting=queued,
        gpus=uses,
        gpus_known={host.name: not host.poller.gpus.trouble for host in with_gpus},
        gpu_load={(host, gpu.index): gpu.percent / 100 for host, gpu in gpus if gpu.percent is not None},
        gpu_memory={(host, gpu.index): float(gpu.used_mib * MIB) for host, gpu in gpus if gpu.used_mib is not None},
    )


def _uses(host: ComputeHost, leased: set[str]) -> dict[str, int]:
    """How many GPUs of a host are leased by us, free, and unavailable."""
    found = {"ours": 0, "free": 0, "unavailable": 0}
    for gpu in host.poller.gpus.gpus:
        barred = host.gpus is None or reason_unusable(gpu, host.gpus, 0)
        found["ours" if gpu.name in leased else "unavailable" if barred else "free"] += 1
    return found


def _free(folders: Mapping[str, Path]) -> dict[str, float]:
    """Free bytes of each folder that can be read: a share may be offline."""
    found = {}
    for name, folder in folders.items():
        with suppress(OSError):
            found[name] = float(shutil.disk_usage(folder).free)
    return found
