"""What the configuration claims of a host, held against the host: each claim tried, not looked up."""

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

from mqi_communicator.app import build_engine, build_host, build_scheduler, remote_root
from mqi_communicator.case.faults import ActionRequired, Fault
from mqi_communicator.case.request import RemoteRequest
from mqi_communicator.case.visible import visible
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.gpus import listed, read_inventory, reason_unusable
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.scheduler import JobState, Scheduler
from mqi_communicator.config import Config
from mqi_communicator.config.hosts import HostOptions
from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.remote import requirements, workspace
from mqi_communicator.remote.host import Host

GIB = 1 << 30
CLOCK_S = 5.0
SLOW_S = 2.0
CALL_S = 60.0
TRIAL_S = 30.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, hosts' words with their odd characters escaped. `advice` says what to do if not ok."""

    ok: bool
    what: str
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", visible(self.what))
        object.__setattr__(self, "advice", visible(self.advice))


def yes(what: str) -> Finding:
    """A claim that holds."""
    return Finding(ok=True, what=what)


def no(what: str, advice: str) -> Finding:
    """A claim that does not, and what to do."""
    return Finding(ok=False, what=what, advice=advice)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one host."""

    config: Config
    options: HostOptions
    host: Host
    scheduler: Scheduler
    root: str

    @property
    def name(self) -> str:
        return self.host.name


async def look_at(config: Config, options: HostOptions) -> AsyncIterator[Finding]:
    """All findings about one host, in the order in which a case would meet them."""
    host = build_host(options)
    look = _Look(config, options, host, build_scheduler(config, options), remote_root(config, options))
    try:
        reached = await _said(lambda: _reach(look))
        for finding in reached:
            yield finding
        if not all(finding.ok for finding in reached):
            return
        for check in (_clock, _host_needs, _engine_needs, _gpus, _room, _there_and_back):
            for finding in await _said(lambda check=check: check(look)):  # type: ignore[misc]
                yield finding
    finally:
        await host.close()


async def _said(check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await check()
    except Fault as fault:
        return [no(fault.reason, fault.advice)]


async def _reach(look: _Look) -> list[Finding]:
    await look.host.request(RemoteRequest("hello"), deadline=CALL_S)
    began = time.monotonic()
    await look.host.request(RemoteRequest("hello"), deadline=CALL_S)
    took = time.monotonic() - began
    what = f"{look.name} answers, its host key is known ({1000 * took:.0f} ms a command)"
    return [Finding(took < SLOW_S, what, "its shell is slow to start: look at ~/.bashrc there")]


async def _clock(look: _Look) -> list[Finding]:
    before = time.time()
    answer = await look.host.request(RemoteRequest("clock"), deadline=CALL_S)
    told = re.search(r"mqi-clock (\S+)", answer.out)
    apart = float(told[1]) - (before + time.time()) / 2 if told else float("inf")
    what = f"the clock of {look.name} differs by {apart:+.1f} s"
    return [Finding(abs(apart) < CLOCK_S, what, "set both clocks by NTP; times in reports would not agree")]


async def _host_needs(look: _Look) -> list[Finding]:
    told = requirements.read_host(await look.host.request(requirements.host(look.scheduler.name), deadline=CALL_S))
    on_slurm = look.options.direct is not None and look.options.direct.on_slurm_host
    return [
        Finding(ok or (on_slurm and what == requirements.NO_SLURM), f"{look.name} has {what}", advice)
        for ok, what, advice in told
    ]


async def _engine_needs(look: _Look) -> list[Finding]:
    """What the engine needs. It is started on a host that computes itself, not on a node that only submits jobs."""
    try:
        wanted = build_engine(look.config).needs()
    except ActionRequired:  # said already
        return []
    if look.scheduler.name != "direct":
        wanted = [need for need in wanted if need.kind != "starts"]
    told = requirements.read_needs(wanted, await look.host.request(requirements.needs(wanted), deadline=CALL_S))
    return [Finding(ok, f"{look.name}: {what}", advice) for ok, what, advice in told]


async def _gpus(look: _Look) -> list[Finding]:
    options = look.options.gpus
    if options is None:
        return _no_gpus(look)
    if options.listed:
        count = len(listed(options).gpus)
        return [yes(f"{look.name}: {count} GPUs are listed; whether others use them is not seen")]
    found = read_inventory(await look.host.request(RemoteRequest("gpus"), deadline=CALL_S))
    if found.trouble or not found.gpus:
        why = found.trouble or "it has none"
        return [
            no(f"{look.name}: its GPUs are unknown: {why}", "nvidia-smi must answer there, or list them: gpus.listed")
        ]
    told = [(gpu.index, gpu.total_mib, reason_unusable(gpu, options, 0)) for gpu in found.gpus]
    free = sum(1 for *_, why in told if not why)
    notes = "; ".join(f"GPU {index} {why}" for index, _, why in told if why)
    return [yes(f"{look.name}: {free} of {len(told)} GPUs may be used now" + (f" ({notes})" if notes else ""))]


def _no_gpus(look: _Look) -> list[Finding]:
    """The configuration knows of no GPUs: none may be needed."""
    try:
        engine = build_engine(look.config)
    except ActionRequired:  # said already
        return []
    if look.scheduler.name != "direct" or engine.gpu_demand(_any_ct()) is None:
        return []
    what = f"the dose engine needs a GPU, and the configuration says nothing of the GPUs of {look.name}"
    return [no(what, "add gpus: {} to the host")]


def _any_ct() -> CTVolume:
    import numpy as np

    grid = Grid((1, 1, 1), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return CTVolume(grid, np.zeros(grid.shape, dtype=np.float32), "", "", (), "")


async def _room(look: _Look) -> list[Finding]:
    workspace.read_workspace(await look.host.request(workspace.workspace(look.root), deadline=CALL_S))
    space = workspace.read_space(await look.host.request(workspace.space(look.root), deadline=CALL_S))
    free, wanted = space.free_bytes / GIB, look.config.resources.remote_free_gib
    what = f"{free:.1f} GiB are free on {look.name} (by {space.bound_by}), {wanted:g} GiB must stay free"
    return [Finding(free > wanted, what, "make space there, or lower resources.remote_free_gib")]


async def _there_and_back(look: _Look) -> list[Finding]:
    """A small case goes there and is verified; without a queue to wait in, a job runs, and its log comes home."""
    key = f"check{secrets.token_hex(6)}"
    try:
        await _send(look, key)
        found = [yes(f"rsync to {look.name} works, and what arrives is verified there")]
        if look.scheduler.name == "direct":
            found.append(await _trial(look, key))
        return found
    finally:
        await look.host.request(workspace.remove(look.root, key), deadline=CALL_S)


async def _send(look: _Look, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mqi-check-") as name:
        source, data = Path(name) / "input", os.urandom(4096)
        (source / "common").mkdir(parents=True)
        (source / "common" / "probe").write_bytes(data)
        sums = workspace.sums_text({"common/probe": hashlib.sha256(data).hexdigest()})
        (source / workspace.SUMS).write_bytes(sums)
        await look.host.send(source, look.root, key, deadline=CALL_S)
    digest = hashlib.sha256(sums).hexdigest()
    workspace.read_settle(await look.host.request(workspace.settle(look.root, key, digest), deadline=CALL_S))


async def _trial(look: _Look, key: str) -> Finding:
    """A job that does nothing, from its order to its log."""
    token = f"{key}-b1-r1"
    job = Job(token, Work((Program("check", ("true",)),), (), TRIAL_S))
    look.scheduler.read_submit(await look.host.request(look.scheduler.submit(job), deadline=CALL_S))
    end = time.monotonic() + TRIAL_S
    while True:
        answer = await look.host.request(look.scheduler.poll((token,)), deadline=CALL_S)
        state = look.scheduler.read_poll((token,), answer)[token].state
        if state not in (JobState.RUNNING, JobState.QUEUED) or time.monotonic() > end:
            break
        await asyncio.sleep(0.2)
    if state is not JobState.ENDED:
        return no(f"{look.name}: a job that does nothing is {state}", "look at the host's process limits and its disk")
    with tempfile.TemporaryDirectory(prefix="mqi-check-") as home:
        await look.host.fetch(look.root, token, Path(home), names=("log",), largest=MIB, deadline=CALL_S)
        back = "mqi-program check" in (Path(home) / "log").read_text(encoding="utf-8", errors="replace")
    return Finding(back, f"a job runs on {look.name}, and its log comes home", "what came home is not what was there")
