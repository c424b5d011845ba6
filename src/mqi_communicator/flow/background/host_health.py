"""The condition of the hosts, asked now and then: whose clock goes apart, whose disk fills. For those who watch; no
step waits for it."""

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
    """What one host said last. None: it did not say."""

    clock_offset_s: float | None = None  # its clock less ours
    free_bytes: int | None = None


async def check_hosts(tools: Tools) -> dict[str, HostHealth]:
    """The condition of every host that is not being left alone, by name."""
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
    told = _CLOCK.search(answer.out)
    return float(told[1]) - (before + time.time()) / 2 if told else None


async def _space(host: ComputeHost) -> int | None:
    try:
        return workspace.read_space(await host.guarded.request(workspace.space(host.root), deadline=CALL_S)).free_bytes
    except Fault:
        return None
