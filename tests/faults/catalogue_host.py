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
from tests.faults.testbed import Ground, descendants, kill


@fault("sshd killed", (1, 8))
def sshd_killed(ground: Ground, _: Random) -> Iterator[None]:
    """kill -9 of sshd, its sessions and what runs in them; it is started again later. Jobs live on."""
    ground.host.stop()
    yield
    ground.host.start()


@fault("sshd's sessions killed")
def sessions_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of one of sshd's sessions, in the middle of whatever it does."""
    sessions = ground.find(lambda: _sessions(ground))
    ground.vain = not (sessions and kill(random.choice(sessions)))
    yield


@fault("sshd stopped", (3, 12))
def sshd_stopped(ground: Ground, _: Random) -> Iterator[None]:
    """SIGSTOP of sshd and all of its sessions."""
    pids = [ground.host.pid, *ground.host.descendants()]
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        kill(pid, signal.SIGCONT)


@fault("host key changed", (3, 6), person=True)
def host_key_changed(ground: Ground, _: Random) -> Iterator[None]:
    """The host shows another key than the pinned one; later the right one again."""
    host = ground.host
    host.stop()
    for name in ("host", "host.pub"):
        (host.folder / name).rename(host.folder / f"true-{name}")
    host.start()  # it makes itself a new key
    yield
    host.stop()
    for name in ("host", "host.pub"):
        (host.folder / f"true-{name}").rename(host.folder / name)
    host.start()


@fault("key refused", (3, 6), person=True)
def key_refused(ground: Ground, _: Random) -> Iterator[None]:
    """Our key has expired on the host and connections are lost; later it is accepted again."""
    keys = ground.host.folder / "authorized_keys"
    known = keys.read_text()
    keys.write_text("")
    ground.net.reset()
    yield
    keys.write_text(known)


@fault("rsync killed there")
def rsync_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of the rsync that serves a transfer on the host."""
    _kill_one(ground, random, "rsync", "--server")
    yield


@fault("command killed there")
def command_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of the script that answers on the host."""
    _kill_one(ground, random, "sh -c", "mqi_text")
    yield


@fault("engine killed")
def engine_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of a running engine."""
    found = ground.find(lambda: [pid for pid in ground.processes("fleet/engine.py") if pid in ground.jobs()])
    ground.vain = not (found and kill(random.choice(found)))
    yield


@fault("job killed")
def job_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of a job's own process; its engine lives on."""
    leaders = ground.find(lambda: [pid for pid in _jobs(ground) if _leads(pid)])
    ground.vain = not (leaders and kill(random.choice(leaders)))
    yield


@fault("everything of a job killed")
def whole_job_killed(ground: Ground, random: Random) -> Iterator[None]:
    """kill -9 of a job with all of its processes."""
    if found := ground.find(lambda: _jobs(ground)):
        leader = random.choice(found)
        for pid in (leader, *descendants(leader)):
            kill(pid)
    yield


@fault("host rebooted", (1, 6), mounted=True)
def rebooted(ground: Ground, _: Random) -> Iterator[None]:
    """Every process on the host is gone, and it comes back with another boot id and the same disk."""
    ground.host.stop()
    for pid in ground.jobs():
        kill(pid)
    ground.boot_id.write_text(f"{uuid.uuid4()}\n")
    yield
    ground.host.start()


@fault("record of a reused pid")
def pid_reused(ground: Ground, random: Random) -> Iterator[None]:
    """A job is gone without a word, and its process id now belongs to somebody else's process."""
    living = ground.find(lambda: _living(ground))
    if not living:
        yield
        return
    path, words = random.choice(living)
    leader = int(words[1])
    for pid in (leader, *descendants(leader)):
        kill(pid)
    with subprocess.Popen(("sleep", "600")) as other:
        ground.observer.forget(path.parent.name)
        path.write_text(",".join((words[0], str(other.pid), *words[2:])))
        ground.pause(6)
        other.kill()
    yield


@fault("clock there jumps", (3, 9))
def clock_there(ground: Ground, random: Random) -> Iterator[None]:
    """The host's clock is an hour fast, or slow, and right again later."""
    ground.clock_there.write_text(str(random.choice((-3600, 3600))))
    yield
    ground.clock_there.write_text("0")


def _leads(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _jobs(ground: Ground) -> list[int]:
    return ground.processes("--job", f"{ground.folder}/remote/cases")


def _living(ground: Ground) -> list[tuple[Path, list[str]]]:
    """The records of jobs that live, with their words: boot id, process id, and more."""
    leaders = {str(pid) for pid in _jobs(ground)}
    gates = [path for path in (ground.folder / "remote" / "gates").glob("*/started") if path.is_file()]
    return [(path, words) for path in gates if (words := path.read_text().split(","))[1:] and words[1] in leaders]


def _sessions(ground: Ground) -> list[int]:
    """sshd's own children and what they run; none while it is down."""
    with suppress(RuntimeError):
        return ground.host.descendants()
    return []


def _kill_one(ground: Ground, random: Random, *words: str) -> None:
    def look() -> list[int]:
        ours = set(_sessions(ground))
        return [pid for pid in ground.processes(*words) if pid in ours]

    found = ground.find(look)
    ground.vain = not (found and kill(random.choice(found)))
