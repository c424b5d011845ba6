"""Checks of a host against its configuration: each claim is tried, not looked up."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mqi_communicator.app import build_engine, build_host, build_scheduler, remote_root
from mqi_communicator.case.faults import Fault
from mqi_communicator.case.request import RemoteRequest
from mqi_communicator.case.work import Program, Work
from mqi_communicator.checks.finding import Finding, failed, passed
from mqi_communicator.compute.gpus import listed, read_inventory, reason_unusable
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.scheduler import JobState, Scheduler
from mqi_communicator.config import Config
from mqi_communicator.config.hosts import HostOptions
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.remote import requirements, workspace
from mqi_communicator.remote.host import Host

GIB = 1 << 30
CLOCK_S = 5.0
SLOW_S = 2.0
REQUEST_S = 60.0
PROBE_S = 30.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class _Target:
    """One host under check."""

    config: Config
    options: HostOptions
    host: Host
    scheduler: Scheduler
    root: str

    @property
    def name(self) -> str:
        return self.host.name


async def check_host(
    config: Config, options: HostOptions, part: Literal["all", "host", "engine"] = "all"
) -> AsyncIterator[Finding]:
    """Yield all findings about one host, in the order in which a case would encounter them; or those about the host
    itself, or about its engine, alone."""
    host = build_host(options)
    target = _Target(config, options, host, build_scheduler(config, options), remote_root(config, options))
    try:
        reached = await _findings(lambda: _connection(target))
        for finding in reached:
            if part != "engine" or not finding.ok:  # the host itself was checked with its section
                yield finding
        if not all(finding.ok for finding in reached):
            return
        for check in _PARTS[part]:
            for finding in await _findings(lambda check=check: check(target)):  # type: ignore[misc]
                yield finding
    finally:
        await host.close()


async def _findings(check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await check()
    except Fault as fault:
        return [failed(fault.reason, fault.advice)]


async def _connection(target: _Target) -> list[Finding]:
    await target.host.request(RemoteRequest("hello"), deadline=REQUEST_S)
    began = time.monotonic()
    await target.host.request(RemoteRequest("hello"), deadline=REQUEST_S)
    took = time.monotonic() - began
    what = f"{target.name} is reachable with a known host key ({1000 * took:.0f} ms per command)"
    return [Finding(took < SLOW_S, what, "the login shell starts slowly: check ~/.bashrc on the host")]


async def _clock(target: _Target) -> list[Finding]:
    before = time.time()
    answer = await target.host.request(RemoteRequest("clock"), deadline=REQUEST_S)
    reported = re.search(r"mqi-clock (\S+)", answer.out)
    apart = float(reported[1]) - (before + time.time()) / 2 if reported else float("inf")
    what = f"the clock of {target.name} differs by {apart:+.1f} s"
    return [
        Finding(abs(apart) < CLOCK_S, what, "synchronize both clocks by NTP; otherwise the times in reports disagree")
    ]


async def _host_requirements(target: _Target) -> list[Finding]:
    reported = requirements.read_host(
        await target.host.request(requirements.host(target.scheduler.name), deadline=REQUEST_S)
    )
    on_slurm = target.options.direct is not None and target.options.direct.on_slurm_host
    return [
        Finding(ok or (on_slurm and what == requirements.NO_SLURM), f"{target.name} has {what}", advice)
        for ok, what, advice in reported
    ]


async def _engine_requirements(target: _Target) -> list[Finding]:
    """Check what the engine needs. It is started only on a host that computes itself, not on a submit node."""
    wanted = _engine_alone(target.config).needs()
    if target.scheduler.name != "direct":
        wanted = [need for need in wanted if need.kind != "starts"]
    reported = requirements.read_needs(
        wanted, await target.host.request(requirements.needs(wanted), deadline=REQUEST_S)
    )
    return [Finding(ok, f"{target.name}: {what}", advice) for ok, what, advice in reported]


def _engine_alone(config: Config) -> DoseEngine:
    """The engine without machines and scanners, whose files are checked elsewhere: what it needs does not depend on
    them, and is checked even if one of them is wrong."""
    return build_engine(config.model_copy(update={"machines": {}, "scanners": {}}))


async def _gpus(target: _Target) -> list[Finding]:
    options = target.options.gpus
    if options is None:
        return _no_gpus(target)
    if options.listed:
        count = len(listed(options).gpus)
        return [passed(f"{target.name}: {count} GPUs are listed in the configuration; use by others is not detected")]
    found = read_inventory(await target.host.request(RemoteRequest("gpus"), deadline=REQUEST_S))
    if found.trouble or not found.gpus:
        why = found.trouble or "the host reports none"
        return [
            failed(
                f"{target.name}: the GPUs are unknown: {why}",
                "make nvidia-smi work on the host, or list the GPUs in gpus.listed",
            )
        ]
    reported = [(gpu.index, gpu.total_mib, reason_unusable(gpu, options, 0)) for gpu in found.gpus]
    free = sum(1 for *_, why in reported if not why)
    notes = "; ".join(f"GPU {index} {why}" for index, _, why in reported if why)
    return [passed(f"{target.name}: {free} of {len(reported)} GPUs are usable now" + (f" ({notes})" if notes else ""))]


def _no_gpus(target: _Target) -> list[Finding]:
    """Without configured GPUs the engine must not need any."""
    if target.scheduler.name != "direct" or not _engine_alone(target.config).uses_gpus:
        return []
    what = f"the dose engine needs a GPU, and the configuration has no gpus for {target.name}"
    return [failed(what, "add `gpus: {}` to the host")]


async def _free_space(target: _Target) -> list[Finding]:
    workspace.read_workspace(await target.host.request(workspace.workspace(target.root), deadline=REQUEST_S))
    space = workspace.read_space(await target.host.request(workspace.space(target.root), deadline=REQUEST_S))
    free, wanted = space.free_bytes / GIB, target.config.resources.remote_free_gib
    what = f"{free:.1f} GiB are free on {target.name} (limited by {space.bound_by}), {wanted:g} GiB must remain free"
    return [Finding(free > wanted, what, "free space on the host, or lower resources.remote_free_gib")]


async def _round_trip(target: _Target) -> list[Finding]:
    """Transfer and verify a small case; on a host without a queue also run a job and fetch its log."""
    key = f"check{secrets.token_hex(6)}"
    try:
        await _send_probe(target, key)
        found = [passed(f"rsync to {target.name} works, and the host verifies the files")]
        if target.scheduler.name == "direct":
            found.append(await _run_probe_job(target, key))
        return found
    finally:
        await target.host.request(workspace.remove(target.root, key), deadline=REQUEST_S)


async def _send_probe(target: _Target, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mqi-check-") as name:
        source, data = Path(name) / "input", os.urandom(4096)
        (source / "common").mkdir(parents=True)
        (source / "common" / "probe").write_bytes(data)
        sums = workspace.sums_text({"common/probe": hashlib.sha256(data).hexdigest()})
        (source / workspace.SUMS).write_bytes(sums)
        await target.host.send(source, target.root, key, deadline=REQUEST_S)
    digest = hashlib.sha256(sums).hexdigest()
    workspace.read_settle(await target.host.request(workspace.settle(target.root, key, digest), deadline=REQUEST_S))


async def _run_probe_job(target: _Target, key: str) -> Finding:
    """Run a job that does nothing, from submission to its log."""
    token = f"{key}-b1-r1"
    job = Job(token, Work((Program("check", ("true",)),), (), PROBE_S))
    target.scheduler.read_submit(await target.host.request(target.scheduler.submit(job), deadline=REQUEST_S))
    end = time.monotonic() + PROBE_S
    while True:
        answer = await target.host.request(target.scheduler.poll((token,)), deadline=REQUEST_S)
        state = target.scheduler.read_poll((token,), answer)[token].state
        if state not in (JobState.RUNNING, JobState.QUEUED) or time.monotonic() > end:
            break
        await asyncio.sleep(0.2)
    if state is not JobState.ENDED:
        return failed(
            f"{target.name}: the test job, which does nothing, is {state}",
            "check the host's process limits and its disk",
        )
    with tempfile.TemporaryDirectory(prefix="mqi-check-") as home:
        await target.host.fetch(target.root, token, Path(home), names=("log",), largest=MIB, deadline=REQUEST_S)
        back = "mqi-program check" in (Path(home) / "log").read_text(encoding="utf-8", errors="replace")
    return Finding(
        back,
        f"a job runs on {target.name}, and its log can be fetched",
        "the fetched log differs from the one on the host",
    )


_PARTS = {
    "all": (_clock, _host_requirements, _engine_requirements, _gpus, _free_space, _round_trip),
    "host": (_clock, _host_requirements, _free_space),
    "engine": (_engine_requirements,),
}
