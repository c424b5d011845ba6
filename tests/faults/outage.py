"""An outage in real time, with many waiting cases and the default settings: behaviour during and after it.

For half of it nothing is answered; then every connection is reset at once. In the middle the communicator is killed.
Afterwards no action may be required, no beam may have run twice, and the host must not be flooded on its return.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mqi_communicator.demo.host import PrivateHost
from tests.faultproxy import Mode
from tests.faults.network import Network, known_hosts
from tests.fleet.site import Fleet, reach, until

SHIPPED = ("retry", "breaker", "resources")  # sections with default settings, beside the interval of the scans
BEFORE = 1 / 20  # of the cases are done when the outage begins
GPUS = 3
LOOK_S = 5.0
PATIENCE_S = 3600.0
FLOOR_GIB = 0.1
# Admitting and preparing 190 cases costs the same with a host and without; it is done before the hour is measured.
LOCAL_WORK = "select count(*) from work_items where step in ('admit', 'prepare') and status in ('ready', 'waiting')"


@dataclass
class OutageResult:
    """Measurements of one outage. `wrong` should be empty."""

    cases: int
    minutes: float
    wrong: list[str] = field(default_factory=list)
    done_before: int = 0
    attempts: int = 0  # connection attempts during the outage
    busy_s: float = 0.0  # CPU time of the communicator and what it started, during the outage
    most_mib: float = 0.0
    first_s: float = 0.0  # from the end of the outage until work resumed
    all_s: float = 0.0  # until every case had ended
    connection_peak: int = 0  # connections in the busiest second of the minute after the outage
    runs: int = 0

    def sentence(self) -> str:
        waiting = self.cases - self.done_before
        return (
            f"{self.minutes:g} minutes without the host, {waiting} of {self.cases} cases waiting: {self.attempts} "
            f"connection attempts, {self.busy_s:.0f} s of CPU time, {self.most_mib:.0f} MiB of memory. Work resumed "
            f"{self.first_s:.0f} s after the host was back, with {self.connection_peak} connections in the busiest "
            f"second. All cases ended after {self.all_s / 60:.1f} minutes, {self.runs} runs of {3 * self.cases} beams."
        )


def wait_out(folder: Path, cases: int, minutes: float) -> OutageResult:
    """Play the outage. The fleet's engine takes a second."""
    result = OutageResult(cases, minutes)
    with PrivateHost(folder / "host") as host:
        net = Network(host.port)
        fleet = _fleet(folder, host, net)
        try:
            _play(fleet, net, result)
        finally:
            fleet.stop(signal.SIGKILL)
            fleet.end_strays()
            net.close()
    return result


def _fleet(folder: Path, host: PrivateHost, net: Network) -> Fleet:
    known = known_hosts(host, net.port, folder / "known_hosts")
    gpus = {"listed": [{"id": number, "memory_mib": 24_000} for number in range(GPUS)]}
    reached = reach(host, port=net.port, known_hosts_file=known)
    fleet = Fleet(folder / "site", [{**reached, "gpus": gpus, "jobs": GPUS}])
    for section in SHIPPED:
        del fleet.settings[section]
    del fleet.settings["intake"]["rescan_s"]
    fleet.settings["resources"] = {"local_free_gib": FLOOR_GIB, "remote_free_gib": FLOOR_GIB}
    fleet.save()
    return fleet


def _play(fleet: Fleet, net: Network, result: OutageResult) -> None:
    fleet.drop(*range(1, result.cases + 1))
    fleet.start()
    until(lambda: _count(fleet, "select count(*) from cases") >= result.cases, "every case is known", PATIENCE_S)
    until(lambda: fleet.ended() >= max(1, BEFORE * result.cases), "the first cases are done", PATIENCE_S)
    result.done_before = fleet.ended()
    _print_time(f"{result.cases} cases are known, {result.done_before} are done: the outage begins")
    _away(fleet, net, result)
    _print_time(f"the host is back; {result.attempts} connection attempts")
    _back(fleet, net, result)
    fleet.stop()
    found = fleet.audit()
    result.runs = len(fleet.tokens())
    result.wrong += [] if found.clean and not found.waiting else [found.summary()]
    result.wrong += [f"{again} ran again" for again in sorted(fleet.tokens()) if not again.endswith("-r1")]


def _away(fleet: Fleet, net: Network, result: OutageResult) -> None:
    part = result.minutes * 60 / 4
    before = net.proxy.accepted
    net.proxy.mode = Mode.BLACKHOLE
    until(lambda: not _count(fleet, LOCAL_WORK), "all that needs no host is done", PATIENCE_S)
    _print_time("every other case waits for the host: the hour and its CPU time count from now")
    used = _cpu_s(fleet)
    _watch(fleet, result, part)
    result.busy_s += _cpu_s(fleet) - used
    fleet.stop(signal.SIGKILL)
    fleet.start()
    _watch(fleet, result, part)
    net.proxy.mode = Mode.REFUSE
    net.reset()
    _watch(fleet, result, 2 * part)
    result.busy_s += _cpu_s(fleet)
    result.attempts = net.proxy.accepted - before
    if _health(fleet) != 200:
        result.wrong.append("/healthz is red, though nothing but the host is missing")
    if "does not answer" not in fleet.mqi("status").stdout:
        result.wrong.append("mqi status does not say that the host does not answer")


def _back(fleet: Fleet, net: Network, result: OutageResult) -> None:
    net.proxy.mode = Mode.THROUGH
    began, tokens, accepted = time.monotonic(), fleet.tokens(), net.proxy.accepted
    counts = []
    while time.monotonic() < began + 60:
        time.sleep(1 - (time.monotonic() - began) % 1)
        counts.append(net.proxy.accepted - accepted)
        accepted = net.proxy.accepted
        if not result.first_s and fleet.tokens() != tokens:
            result.first_s = time.monotonic() - began
    result.connection_peak = max(counts)
    until(lambda: bool(result.first_s) or fleet.tokens() != tokens, "work resumes", PATIENCE_S)
    result.first_s = result.first_s or time.monotonic() - began
    until(lambda: fleet.ended() >= result.cases, "every case has ended", PATIENCE_S)
    result.all_s = time.monotonic() - began


def _watch(fleet: Fleet, result: OutageResult, seconds: float) -> None:
    """Observe the outage: no action is required and nothing fails."""
    assert fleet.process is not None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(LOOK_S)
        with suppress(OSError, ValueError):
            result.most_mib = max(result.most_mib, _memory_mib(fleet.process.pid))
        if fleet.process.poll() is not None:
            result.wrong.append(f"the communicator ended with {fleet.process.returncode}")
            fleet.start()
        if bad := _count(fleet, "select count(*) from work_items where needs_person or status = 'failed'"):
            result.wrong.append(f"{bad} work items have failed or require action")
            return


def _count(fleet: Fleet, query: str) -> int:
    with suppress(Exception):  # the store may not exist yet
        return int(fleet.ask(query)[0][0])
    return 0


def _cpu_s(fleet: Fleet) -> float:
    """CPU time of the communicator and of its children that have ended."""
    assert fleet.process is not None
    fields = Path(f"/proc/{fleet.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _health(fleet: Fleet) -> int:
    """The status code of /healthz of the current life."""
    records = (json.loads(line) for line in fleet.log.read_text().splitlines() if line.startswith("{"))
    port = [record["port"] for record in records if record["event"] == "started"][-1]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _print_time(fields: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {fields}", flush=True)
