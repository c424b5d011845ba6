"""Checks of the configuration on this machine: one finding per claim, with what to do."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator

from mqi_communicator.app import build_engine
from mqi_communicator.case.faults import ActionRequired, Fault
from mqi_communicator.checks import folders
from mqi_communicator.checks.finding import Finding, failed, passed
from mqi_communicator.checks.hosts import check_host
from mqi_communicator.config import Config
from mqi_communicator.flow.memory import largest_ct
from mqi_communicator.flow.options import ConstancyOptions
from mqi_communicator.notify.dispatcher import Channel, channels
from mqi_communicator.store.ownership import owner
from mqi_communicator.system.ports import bind_error, children_of, listens
from mqi_communicator.web.options import WebOptions
from mqi_communicator.web.private import check_key
from mqi_communicator.web.users import users_of


async def check_all(config: Config) -> AsyncIterator[Finding]:
    """Yield all findings, in the order in which a case would encounter them."""
    yield folders.watch_folder(config)
    if (deliveries := folders.deliveries_folder(config)) is not None:
        yield deliveries
    yield folders.workspace_folder(config)
    yield folders.results_folder(config)
    yield folders.local_disk(config)
    yield folders.free_space(config)
    yield _worker_memory(config)
    yield _metrics_port(config)
    if config.web is not None:
        yield _dashboard(config, config.web)
        yield _users(config, config.web)
    for finding in _beam_models(config):
        yield finding
    for sample in config.constancy:
        yield _sample(sample)
    if config.notify is not None:
        for way in channels(config.notify):
            yield await asyncio.to_thread(_notification_channel, way)
    for options in config.all_hosts:
        async for finding in check_host(config, options):
            yield finding


async def check_section(config: Config, section: str) -> AsyncIterator[Finding]:
    """Yield the findings about one section of the configuration alone; the others may not be final yet."""
    match section:
        case "paths":
            yield folders.watch_folder(config)
            if (deliveries := folders.deliveries_folder(config)) is not None:
                yield deliveries
            yield (workspace := folders.workspace_folder(config))
            yield folders.results_folder(config)
            if workspace.ok:
                yield folders.local_disk(config)
            yield folders.free_space(config)
        case "ssh" | "engine":
            for options in config.all_hosts:
                async for finding in check_host(config, options, "host" if section == "ssh" else "engine"):
                    yield finding
        case "machines" | "scanners":
            for finding in _beam_models(config):
                yield finding


def _sample(sample: ConstancyOptions) -> Finding:
    what = f"the folder {sample.folder} of the constancy sample {sample.name}"
    if not sample.folder.is_dir() or not os.access(sample.folder, os.R_OK | os.X_OK):
        return failed(f"{what} is not readable", "correct its path or permissions")
    return passed(f"{what} is readable")


def _worker_memory(config: Config) -> Finding:
    """How large a CT may be whose planned doses are on the same grid, for the memory of a worker. No failure: what a
    site needs is known to the site alone."""
    limit, slice_voxels = config.resources.worker_memory_gib, 512 * 512
    slices = largest_ct(limit) // slice_voxels
    name = f"resources.worker_memory_gib {limit:g}"
    return passed(f"{name} is enough for a CT of 512 x 512 x {slices} with planned doses on its grid")


def _metrics_port(config: Config) -> Finding:
    options = config.monitoring
    where = f"{options.metrics_host} port {options.metrics_port}"
    if reason := bind_error(options.metrics_host, options.metrics_port):
        if _is_ours(config, options.metrics_port):
            return passed(f"the communicator is running on this store and serves its metrics at {where}")
        return failed(f"the metrics page cannot listen on {where}: {reason}", "set monitoring.metrics_port")
    return passed(f"the metrics page can listen on {where}")


def _is_ours(config: Config, port: int) -> bool:
    """Whether the communicator that runs on this store listens on a port, or its dashboard, or this process."""
    pid = owner(config.paths.lock)
    running = () if pid is None else (pid, *children_of(pid))
    return any(listens(one, port) for one in (os.getpid(), *running))


def _dashboard(config: Config, options: WebOptions) -> Finding:
    where = f"{options.host} port {options.port}"
    if options.certificate is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(options.certificate, options.key)
        except OSError as error:  # an SSLError is one
            reason = error.strerror or type(error).__name__
            return failed(
                f"the dashboard's certificate or key is unusable: {reason}", "set web.certificate and web.key"
            )
    if options.key is not None:
        try:
            check_key(options.key)
        except ActionRequired as fault:
            return failed(fault.reason, fault.advice)
    if reason := bind_error(options.host, options.port):
        if _is_ours(config, options.port):
            return passed(f"the communicator is running on this store and serves its dashboard at {where}")
        return failed(
            f"the dashboard cannot listen on {where}: {reason}", "set web.host and web.port; or stop `mqi web`"
        )
    return passed(f"the dashboard can listen on {where}" + (", with TLS" if options.tls else ""))


def _users(config: Config, options: WebOptions) -> Finding:
    try:
        count = len(users_of(options, config.paths.workspace).users())
    except ActionRequired as fault:
        return failed(fault.reason, fault.advice)
    if count == 0 and (options.proxy is None or options.proxy.unknown_role is None):
        return failed("the dashboard has no users", "run: mqi user add NAME --role viewer|operator|physicist")
    return passed(f"the dashboard has {count} users")


def _notification_channel(way: Channel) -> Finding:
    try:
        return passed(f"notify.{way.name}: {way.probe()}")
    except Fault as fault:
        return failed(
            f"notify.{way.name}: {fault.reason}", fault.advice or "cases are processed without it; correct it soon"
        )


def _beam_models(config: Config) -> list[Finding]:
    """What is wrong with the beam model of each machine and the curve of each scanner, or that nothing is."""
    wrong = []
    for group in ("machines", "scanners"):
        for name, one in getattr(config, group).items():
            try:
                build_engine(config.model_copy(update={"machines": {}, "scanners": {}, group: {name: one}}))
            except ActionRequired as fault:
                wrong.append(failed(fault.reason, fault.advice))
    if wrong:
        return wrong
    machines, scanners = ", ".join(config.machines) or "none", ", ".join(config.scanners) or "none"
    found = f"beam models and curves match their commissioned digests (machines: {machines}; scanners: {scanners})"
    return [passed(found), passed(build_engine(config).abilities.description)]
