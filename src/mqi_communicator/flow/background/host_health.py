"""Clock offset and free disk space of the hosts, for the metrics. No step waits for it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.request import RemoteRequest
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.tools import Tools
from mqi_communicator.remote import workspace

CALL_S = 60.0
_CLOCK = re.compile(r"^mqi-clock (\d+(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HostHealth:
    """The last values of one host. None: it did not report any."""

    clock_offset_s: float | None = None  # its clock less ours
    free_bytes: int | None = None


async def check_hosts(tools: Tools) -> dict[str, HostHealth]:
    """The values of every host whose calls are not paused, by name."""
    found = {}
    for host in tools.hosts.values():
        if not host.guarded.paused:
            found[host.name] = HostHealth(await _clock(host), await _space(host))
    return found


async def _clock(host: ComputeHost) -> float | None:
    before = time.time()
    try:
        answer = await host.guarded.request(RemoteRequest("clock"), deadline=CALL_S)
    except Fault:
        return None
    match = _CLOCK.search(answer.out)
    return float(match[1]) - (before + time.time()) / 2 if match else None


async def _space(host: ComputeHost) -> int | None:
    try:
        return workspace.read_space(await host.guarded.request(workspace.space(host.root), deadline=CALL_S)).free_bytes
    except Fault:
        return None
