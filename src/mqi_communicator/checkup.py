"""Every claim of the configuration, held against reality: one finding a claim, with what to do."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.app import build_engine, build_host, build_scheduler
from mqi_communicator.case.faults import Fault, NeedsPerson
from mqi_communicator.config import Config
from mqi_communicator.remote import stage
from mqi_communicator.remote.host import Host
from mqi_communicator.store.database import NETWORK_FILE_SYSTEMS, file_system_of
from mqi_communicator.store.ownership import is_owned

GIB = 1 << 30
CLOCK_S = 5.0
SLOW_S = 2.0
CALL_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` says what to do when it is not ok."""

    ok: bool
    what: str
    advice: str = ""


def _yes(what: str) -> Finding:
    return Finding(ok=True, what=what)


def _no(what: str, advice: str) -> Finding:
    return Finding(ok=False, what=what, advice=advice)


async def check_up(config: Config) -> AsyncIterator[Finding]:
    """All findings, in the order in which a case would meet them."""
    yield _watched(config)
    for name in ("workspace", "results"):
        yield _ours(f"paths.{name}", getattr(config.paths, name))
    yield _local_disk(config)
    yield _room(config)
    yield _port(config)
    yield _models(config)
    host = build_host(config)
    try:
        async for finding in _there(config, host):
            yield finding
    finally:
        await host.close()


async def _there(config: Config, host: Host) -> AsyncIterator[Finding]:
    reached = await _said(lambda: _reach(host))
    yield reached
    if not reached.ok:
        return
    yield await _said(lambda: _clock(host))
    tests = [*stage.NEEDS, *build_scheduler(config).needs()]
    if _models(config).ok:
        tests += build_engine(config).needs()
    for test, advice in tests:
        yield await _said(lambda test=test, advice=advice: _need(host, test, advice))  # type: ignore[misc]
    yield await _said(lambda: _remote_room(config, host))
    yield await _said(lambda: _there_and_back(config, host))


async def _said(check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except Fault as fault:
        return Finding(ok=False, what=fault.reason, advice=fault.advice)


def _watched(config: Config) -> Finding:
    folder = config.paths.watch
    if not folder.is_dir():
        return _no(f"paths.watch {folder} is no folder", "create it, or mount the share")
    if not os.access(folder, os.R_OK | os.X_OK):
        return _no(f"paths.watch {folder} cannot be read", "give this account the right to read it")
    return _yes(f"paths.watch {folder} can be read")


def _ours(name: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-"):
            pass
    except OSError as error:
        return _no(f"{name} {folder} cannot be written: {error.strerror}", "correct the path or its rights")
    return _yes(f"{name} {folder} can be written")


def _local_disk(config: Config) -> Finding:
    kind = file_system_of(config.paths.workspace)
    if kind in NETWORK_FILE_SYSTEMS:
        return _no(f"paths.workspace lies on a network file system ({kind})", "put it on a local disk")
    return _yes(f"paths.workspace lies on a local disk ({kind})")


def _room(config: Config) -> Finding:
    free, wanted = shutil.disk_usage(config.paths.workspace).free / GIB, config.resources.local_free_gib
    what = f"{free:.1f} GiB are free on the disk of paths.workspace, {wanted:g} GiB must stay free"
    return Finding(free > wanted, what, "make space, or lower resources.local_free_gib")


def _port(config: Config) -> Finding:
    options = config.monitoring
    where = f"{options.metrics_host} port {options.metrics_port}"
    if is_owned(config.paths.lock):
        return _yes(f"the communicator is running on this store; {where} is its page")
    with socket.socket(socket.AF_INET6 if ":" in options.metrics_host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.metrics_host, options.metrics_port))
        except OSError as error:
            return _no(f"the metrics page cannot have {where}: {error.strerror}", "monitoring.metrics_port")
    return _yes(f"the metrics page can have {where}")


def _models(config: Config) -> Finding:
    try:
        build_engine(config)
    except NeedsPerson as fault:
        return _no(fault.reason, fault.advice)
    machines, scanners = ", ".join(config.machines) or "none", ", ".join(config.scanners) or "none"
    return _yes(f"beam models and curves are as commissioned (machines: {machines}; scanners: {scanners})")


async def _reach(host: Host) -> Finding:
    await host.run("true", deadline=CALL_S)
    began = time.monotonic()
    await host.run("true", deadline=CALL_S)
    took = time.monotonic() - began
    what = f"{host.name} answers, its host key is known ({1000 * took:.0f} ms a command)"
    return Finding(took < SLOW_S, what, "its shell is slow to start: look at ~/.bashrc there")


async def _clock(host: Host) -> Finding:
    before = time.time()
    there = float((await host.run("date +%s.%N", deadline=CALL_S)).out)
    apart = there - (before + time.time()) / 2
    what = f"the clock of {host.name} differs by {apart:+.1f} s"
    return Finding(abs(apart) < CLOCK_S, what, "set both clocks by NTP; times in reports would not agree")


async def _need(host: Host, test: str, advice: str) -> Finding:
    finished = await host.run(test, deadline=CALL_S)
    return Finding(finished.exit_code == 0, f"{host.name}: {test}", advice)


async def _remote_room(config: Config, host: Host) -> Finding:
    stage.read_workspace(await host.run(stage.workspace(config.paths.remote), deadline=CALL_S))
    asked = await host.run(stage.space(config.paths.remote), deadline=CALL_S)
    free = stage.read_space(asked).free_bytes / GIB
    wanted = config.resources.remote_free_gib
    what = f"{free:.1f} GiB are free on {host.name}, {wanted:g} GiB must stay free"
    return Finding(free > wanted, what, "make space there, or lower resources.remote_free_gib")


async def _there_and_back(config: Config, host: Host) -> Finding:
    """A small folder goes there by rsync and comes home unchanged."""
    with tempfile.TemporaryDirectory(prefix="mqi-check-") as name:
        sent, back = Path(name) / "sent", Path(name) / "back"
        sent.mkdir()
        (sent / "probe").write_bytes(os.urandom(4096))
        target = f"{config.paths.remote}/staging/check-{os.getpid()}"
        try:
            await host.send(sent, target, lock=f"{target}.lock", deadline=CALL_S)
            await host.fetch(target, back, names=("probe",), deadline=CALL_S)
        finally:
            await host.run(f"rm -rf '{target}' '{target}.lock'", deadline=CALL_S)
        same = (sent / "probe").read_bytes() == (back / "probe").read_bytes()
    return Finding(same, f"rsync to {host.name} and back works", "what came home differs from what was sent")
