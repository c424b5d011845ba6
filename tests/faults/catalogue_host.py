"""What happens on the host: to its sshd, its keys, its processes, its clock."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed, descendants, kill


@fault("sshd killed", (1, 8))
def sshd_killed(testbed: Testbed, _: Random) -> Iterator[None]:
    """kill -9 of sshd, its sessions and what runs in them; it is started again later. Jobs keep running."""
    testbed.host.stop()
    yield
    testbed.host.start()


@fault("sshd's sessions killed")
def sessions_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of one of sshd's sessions, whatever it is doing."""
    sessions = testbed.find(lambda: _sessions(testbed))
    testbed.missed = not (sessions and kill(random.choice(sessions)))
    yield


@fault("sshd stopped", (3, 12))
def sshd_stopped(testbed: Testbed, _: Random) -> Iterator[None]:
    """SIGSTOP of sshd and all of its sessions."""
    pids = [testbed.host.pid, *testbed.host.descendants()]
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        kill(pid, signal.SIGCONT)


@fault("host key changed", (3, 6), action_required=True)
def host_key_changed(testbed: Testbed, _: Random) -> Iterator[None]:
    """The host presents another key than the pinned one; later the right one again."""
    host = testbed.host
    host.stop()
    for name in ("host", "host.pub"):
        (host.folder / name).rename(host.folder / f"true-{name}")
    host.start()  # it makes itself a new key
    yield
    host.stop()
    for name in ("host", "host.pub"):
        (host.folder / f"true-{name}").rename(host.folder / name)
    host.start()


@fault("key refused", (3, 6), action_required=True)
def key_refused(testbed: Testbed, _: Random) -> Iterator[None]:
    """Our key has expired on the host and connections are lost; later it is accepted again."""
    keys = testbed.host.folder / "authorized_keys"
    known = keys.read_text()
    keys.write_text("")
    testbed.net.reset()
    yield
    keys.write_text(known)


@fault("rsync killed there")
def rsync_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of the rsync that serves a transfer on the host."""
    _kill_one(testbed, random, "rsync", "--server")
    yield


@fault("command killed there")
def command_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of the script that serves a request on the host."""
    _kill_one(testbed, random, "sh -c", "mqi_text")
    yield


@fault("engine killed")
def engine_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of a running engine."""
    found = testbed.find(lambda: [pid for pid in testbed.processes("fleet/engine.py") if pid in testbed.jobs()])
    testbed.missed = not (found and kill(random.choice(found)))
    yield


@fault("job killed", backend="direct")
def job_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of a job's own process; its engine keeps running."""
    leaders = testbed.find(lambda: [pid for pid in _jobs(testbed) if _leads(pid)])
    testbed.missed = not (leaders and kill(random.choice(leaders)))
    yield


@fault("everything of a job killed", backend="direct")
def whole_job_killed(testbed: Testbed, random: Random) -> Iterator[None]:
    """kill -9 of a job with all of its processes."""
    if found := testbed.find(lambda: _jobs(testbed)):
        leader = random.choice(found)
        for pid in (leader, *descendants(leader)):
            kill(pid)
    yield


@fault("host rebooted", (1, 6), mounted=True, backend="direct")
def rebooted(testbed: Testbed, _: Random) -> Iterator[None]:
    """Every process on the host is killed; it returns with another boot id and the same disk. Hosts here share one."""
    for machine in testbed.machines:
        machine.host.stop()
    for pid in testbed.jobs():
        kill(pid)
    testbed.boot_id.write_text(f"{uuid.uuid4()}\n")
    yield
    for machine in testbed.machines:
        machine.host.start()


@fault("record of a reused pid", backend="direct")
def pid_reused(testbed: Testbed, random: Random) -> Iterator[None]:
    """A job vanishes without a record, and its process id now belongs to an unrelated process."""
    living = testbed.find(lambda: _living(testbed))
    if not living:
        yield
        return
    path, fields = random.choice(living)
    leader = int(fields[1])
    for pid in (leader, *descendants(leader)):
        kill(pid)
    with subprocess.Popen(("sleep", "600")) as other:
        testbed.observer.forget(path.parent.name)
        path.write_text(",".join((fields[0], str(other.pid), *fields[2:])))
        testbed.pause(6)
        other.kill()
    yield


@fault("clock there jumps", (3, 9), backend="direct")
def clock_there(testbed: Testbed, random: Random) -> Iterator[None]:
    """The host's clock is an hour fast or slow; later it is right again."""
    testbed.clock_there.write_text(str(random.choice((-3600, 3600))))
    yield
    testbed.clock_there.write_text("0")


def _leads(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _jobs(testbed: Testbed) -> list[int]:
    return testbed.processes("--job", f"{testbed.machine.remote}/cases")


def _living(testbed: Testbed) -> list[tuple[Path, list[str]]]:
    """The records of jobs that live, with their words: boot id, process id, and more."""
    leaders = {str(pid) for pid in _jobs(testbed)}
    gates = [path for path in (testbed.machine.remote / "gates").glob("*/started") if path.is_file()]
    return [(path, fields) for path in gates if (fields := path.read_text().split(","))[1:] and fields[1] in leaders]


def _sessions(testbed: Testbed) -> list[int]:
    """sshd's own children and what they run; none while it is down."""
    with suppress(RuntimeError):
        return testbed.host.descendants()
    return []


def _kill_one(testbed: Testbed, random: Random, *fields: str) -> None:
    def look() -> list[int]:
        ours = set(_sessions(testbed))
        return [pid for pid in testbed.processes(*fields) if pid in ours]

    found = testbed.find(look)
    testbed.missed = not (found and kill(random.choice(found)))
