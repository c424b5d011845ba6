"""Kill points: one before and one after every effect of the product outside its own memory.

The product holds no line of this. A communicator that is started by `python -m tests.faults.communicator` has its ports
wrapped: what it asks of hosts, what it writes into the store, what it runs in workers, what it renames and removes.
Each passage of a wrapper is a point. At the point that was planned for this life the process ends itself with SIGKILL.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_plan: dict[str, Any] = json.loads(os.environ.get("FAULTS_PLAN", "{}"))
_journal = os.environ.get("FAULTS_JOURNAL", "")
_passed: Counter[str] = Counter()
# Kinds of files that are renamed into place. Code that numba has compiled has a name for each function.
VOLUMES = re.compile(r"[0-9a-f]{64}\.bin")
KINDS = {".npy": "dose", ".dcm": "rtdose", ".sqlite3": "backup", ".nbi": "kernel", ".nbc": "kernel"}


def hit(point: str) -> None:
    """Record that this point is passed; at the planned passage of the planned point, end the process."""
    _passed[point] += 1
    if _passed[point] == 1:
        _note(f"seen {point}")
    if point == _plan.get("point") and _passed[point] == _plan.get("nth", 1):
        _note(f"killed {point}")
        _end()


def _note(line: str) -> None:
    handle = os.open(_journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{os.environ['FAULTS_PID']} {line}\n".encode())
    os.close(handle)


def _end() -> None:
    """Kill the communicator and, in one of its worker processes, that process as well."""
    communicator, server = int(os.environ["FAULTS_PID"]), os.getppid()
    if communicator in (os.getpid(), server, _parent_of(server)):
        os.kill(communicator, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _parent_of(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def wrap_files() -> None:
    """Wrap renames and removals of folders: each is the moment of an effect."""
    rmtree = shutil.rmtree

    def wrapped(rename: Callable[..., None]) -> Callable[..., None]:
        def renamed(source: Any, target: Any, **kwargs: Any) -> None:
            point = f"rename:{_renamed(Path(os.fsdecode(source)), Path(os.fsdecode(target)))}"
            hit(f"{point}:before")
            rename(source, target, **kwargs)
            hit(f"{point}:after")

        return renamed

    def removed(path: Any, *args: Any, **kwargs: Any) -> None:
        path = Path(path)
        # pymp-*: multiprocessing's own, at a regular end; a kill there leaves what a kill at any other moment leaves
        ours = path.exists() and not path.name.startswith("pymp-")
        point = f"rmtree:{_removed(path)}" if ours else ""
        if point:
            hit(f"{point}:before")
        rmtree(path, *args, **kwargs)
        if point:
            hit(f"{point}:after")

    setattr(os, "rename", wrapped(os.rename))  # noqa: B010 - every module looks it up there
    setattr(os, "replace", wrapped(os.replace))  # noqa: B010
    setattr(shutil, "rmtree", removed)  # noqa: B010


def _renamed(source: Path, target: Path) -> str:
    if target.name == "manifest.json":
        return "admitted" if target.parent.name == "case" else "manifest"
    if source.is_dir() and source.name.endswith(".part"):
        return "delivered"
    if target.parent.name == "prepared":
        return "prepared"
    if target.parent.name == "dose" and target.suffix == ".json":
        return "dose-record"
    if target.parent.parent.name == "comparison":
        return "check"
    if VOLUMES.fullmatch(target.name):
        return "volumes"
    if target.suffix in KINDS:
        return KINDS[target.suffix]
    return "report" if target.stem == "report" else target.name


def _removed(path: Path) -> str:
    if path.name.endswith(".part"):
        return "part"
    return "back-of-run" if path.parent.name == "back" else path.name


def wrap_ports() -> None:
    """Wrap the host, the store and the worker pool of the process that runs the flow."""
    from mqi_communicator import app
    from mqi_communicator.flow.workers.pool import WorkerPool
    from mqi_communicator.store.database import Database

    build = app.build_host
    app.build_host = lambda options: KillPointHost(build(options))
    write_now: Any = Database.write_now
    run: Any = WorkerPool._run

    @functools.wraps(write_now)
    def written(self: Any, change: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        point = f"store:{change.__module__.rpartition('.')[2]}.{change.__name__.lstrip('_')}"
        hit(f"{point}:before")
        answer = write_now(self, change, *args, **kwargs)
        hit(f"{point}:after")
        return answer

    @functools.wraps(run)
    async def done(self: Any, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        hit(f"worker:{work.__name__}:before")
        answer = await run(self, work, *args, **kwargs)
        hit(f"worker:{work.__name__}:after")
        return answer

    setattr(Database, "write_now", written)  # noqa: B010
    setattr(WorkerPool, "_run", done)  # noqa: B010


class KillPointHost:
    """A host with kill points before and after every call."""

    def __init__(self, host: Any) -> None:
        self._host, self.name = host, host.name

    async def request(self, request: Any, **kwargs: Any) -> Any:
        hit(f"request:{request.verb}:before")
        answer = await self._host.request(request, **kwargs)
        hit(f"request:{request.verb}:after")
        return answer

    async def send(self, *args: Any, **kwargs: Any) -> None:
        hit("send:before")
        await self._host.send(*args, **kwargs)
        hit("send:after")

    async def fetch(self, *args: Any, **kwargs: Any) -> None:
        hit("fetch:before")
        await self._host.fetch(*args, **kwargs)
        hit("fetch:after")

    async def close(self) -> None:
        await self._host.close()
