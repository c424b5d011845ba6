"""Every claim of the configuration, held against reality: one finding a claim, with what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from mqi_communicator.app import build_engine
from mqi_communicator.case.faults import ActionRequired, Fault
from mqi_communicator.checks.hosts import Finding, look_at, no, yes
from mqi_communicator.config import Config
from mqi_communicator.flow.options import ConstancyOptions
from mqi_communicator.notify.dispatcher import Channel, ways
from mqi_communicator.store.database import NETWORK_FILE_SYSTEMS, file_system_of
from mqi_communicator.store.ownership import is_owned
from mqi_communicator.web.options import WebOptions
from mqi_communicator.web.private import check_key
from mqi_communicator.web.users import users_of

GIB = 1 << 30


async def check_up(config: Config) -> AsyncIterator[Finding]:
    """All findings, in the order in which a case would meet them."""
    yield _watched(config)
    for name in ("workspace", "results"):
        yield _ours(f"paths.{name}", getattr(config.paths, name))
    yield _local_disk(config)
    yield _room(config)
    yield _port(config)
    if config.web is not None:
        yield _dashboard(config, config.web)
        yield _people(config, config.web)
    yield (models := _models(config))
    if models.ok:
        yield yes(build_engine(config).abilities.words)
    for sample in config.constancy:
        yield _sample(sample)
    if config.notify is not None:
        for way in ways(config.notify):
            yield await asyncio.to_thread(_told, way)
    for options in config.all_hosts:
        async for finding in look_at(config, options):
            yield finding


def _watched(config: Config) -> Finding:
    folder = config.paths.watch
    if not folder.is_dir():
        return no(f"paths.watch {folder} is no folder", "create it, or mount the share")
    if not os.access(folder, os.R_OK | os.X_OK):
        return no(f"paths.watch {folder} cannot be read", "give this account the right to read it")
    return yes(f"paths.watch {folder} can be read")


def _sample(sample: ConstancyOptions) -> Finding:
    what = f"the folder {sample.folder} of the constancy sample {sample.name}"
    if not sample.folder.is_dir() or not os.access(sample.folder, os.R_OK | os.X_OK):
        return no(f"{what} cannot be read", "correct its path or its rights")
    return yes(f"{what} can be read")


def _ours(name: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-"):
            pass
    except OSError as error:
        return no(f"{name} {folder} cannot be written: {error.strerror}", "correct the path or its rights")
    return yes(f"{name} {folder} can be written")


def _local_disk(config: Config) -> Finding:
    kind = file_system_of(config.paths.workspace)
    if kind in NETWORK_FILE_SYSTEMS:
        return no(f"paths.workspace lies on a network file system ({kind})", "put it on a local disk")
    return yes(f"paths.workspace lies on a local disk ({kind})")


def _room(config: Config) -> Finding:
    free, wanted = shutil.disk_usage(config.paths.workspace).free / GIB, config.resources.local_free_gib
    what = f"{free:.1f} GiB are free on the disk of paths.workspace, {wanted:g} GiB must stay free"
    return Finding(free > wanted, what, "make space, or lower resources.local_free_gib")


def _port(config: Config) -> Finding:
    options = config.monitoring
    where = f"{options.metrics_host} port {options.metrics_port}"
    if is_owned(config.paths.lock):
        return yes(f"the communicator is running on this store; {where} is its page")
    if trouble := _taken(options.metrics_host, options.metrics_port):
        return no(f"the metrics page cannot have {where}: {trouble}", "monitoring.metrics_port")
    return yes(f"the metrics page can have {where}")


def _taken(host: str, port: int) -> str:
    """Why an address of this machine cannot be had, "" if it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return str(error.strerror)
    return ""


def _dashboard(config: Config, options: WebOptions) -> Finding:
    where = f"{options.host} port {options.port}"
    if options.certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(options.certificate, options.key)
        except OSError as error:  # an SSLError is one
            words = error.strerror or type(error).__name__
            return no(f"the dashboard's certificate or key cannot be used: {words}", "web.certificate, web.key")
    if options.key is not None:
        try:
            check_key(options.key)
        except ActionRequired as fault:
            return no(fault.reason, fault.advice)
    if not is_owned(config.paths.lock) and (trouble := _taken(options.host, options.port)):
        return no(f"the dashboard cannot have {where}: {trouble}", "web.host, web.port; or mqi web is there already")
    return yes(f"the dashboard can have {where}" + (", with TLS" if options.tls else ""))


def _people(config: Config, options: WebOptions) -> Finding:
    try:
        count = len(users_of(options, config.paths.workspace).users())
    except ActionRequired as fault:
        return no(fault.reason, fault.advice)
    if count == 0 and (options.proxy is None or options.proxy.unknown_role is None):
        return no("nobody can sign in to the dashboard", "mqi user add NAME --role viewer|operator|physicist")
    return yes(f"{count} people are known to the dashboard")


def _told(way: Channel) -> Finding:
    try:
        return yes(f"notify.{way.name}: {way.probe()}")
    except Fault as fault:
        return no(f"notify.{way.name}: {fault.reason}", fault.advice or "the rest works without it; correct it soon")


def _models(config: Config) -> Finding:
    try:
        build_engine(config)
    except ActionRequired as fault:
        return no(fault.reason, fault.advice)
    machines, scanners = ", ".join(config.machines) or "none", ", ".join(config.scanners) or "none"
    return yes(f"beam models and curves are as commissioned (machines: {machines}; scanners: {scanners})")
