"""Heavy or risky work in a process of its own, with limits on memory and time.

Reading DICOM of unknown origin and comparing doses need much memory for a short time, and may crash in native code. In
a child process neither stays with a daemon that runs for months, and a deadline can end it.

The standard library's fork server forks one child per task; `fork_server.py` prepares it, `child.py` is the child's
side. The server stays until the communicator ends: the library has no public way to stop it sooner. The kernel kills
it when the communicator ends, and its children with it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ParamSpec, TypeVar, cast

from mqi_communicator.case.faults import CpuTimeExceeded, Fault, Transient
from mqi_communicator.flow.workers.child import Task, name_of, run_task
from mqi_communicator.flow.workers.compiled import CACHE
from mqi_communicator.flow.workers.unexpected import fault_of_end

P = ParamSpec("P")
T = TypeVar("T")
Started = tuple[ForkServerProcess, Connection]
_GIB = 1 << 30
_RESTART_S = 0.5
_GRACE_CPU_S = 30
_ENDED_S = 5.0  # for the fork server to report how a child ended
REPORT_PACKAGE = "mqi_communicator.report"  # for `packages`, where reports are drawn
_CONTEXT = multiprocessing.get_context("forkserver")
# One thread starts the fork server and all children. The kernel kills the server when this thread ends: with the
# interpreter.
_STARTER = ThreadPoolExecutor(1, "worker-starter")


class WorkerPool:
    """Runs functions of this package, each call in a process of its own.

    `cache`: the folder of compiled code. `packages`: packages whose modules the fork server loads as well, so that not
    every worker does.
    """

    def __init__(
        self, *, memory_gib: float, limit_s: float, cache: Path | None = None, packages: Sequence[str] = ()
    ) -> None:
        self._memory = int(memory_gib * _GIB)
        self._limit = limit_s
        self._grace = _GRACE_CPU_S
        self._cache = str(cache or "")
        if cache is not None:
            os.environ.setdefault(CACHE, str(cache))  # the fork server inherits it
        modules = [module for package in packages for module in modules_of(package)]
        _CONTEXT.set_forkserver_preload(["mqi_communicator.flow.workers.fork_server", *modules])

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work(*args)` returns, or raise its fault. Transient if the child is killed or takes too long;
        Permanent for an unexpected exception and a crash in native code, which another try would only repeat."""
        return cast("T", await self._run(work, args, kwargs, cpu_s=0.0))

    async def run_within(self, cpu_s: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, with a limit on processor time, which neither a slow disk nor a busy machine uses up.
        CpuTimeExceeded if `work` takes more."""
        return cast("T", await self._run(work, args, kwargs, cpu_s=cpu_s))

    async def _run(self, work: Callable[..., Any], args: Any, kwargs: Any, *, cpu_s: float) -> object:
        task = pickle.dumps(Task(work, args, kwargs, self._memory, cpu_s, self._grace, self._cache))
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limit):
                reply = await _reply_to(task)
        except TimeoutError:
            raise Transient(f"{name_of(work)} took longer than {self._limit:.0f} s") from None
        except _ChildDied as died:
            if 0 < cpu_s <= time.monotonic() - began:  # in native code, which does not return to be ended
                raise CpuTimeExceeded(f"{name_of(work)} took more than {cpu_s:g} s of processor time") from None
            raise fault_of_end(died.exit_code, name_of(work)) from None
        return _result(reply)

    def warm_up(self) -> None:
        """Start the fork server if it does not run: work is expected soon."""
        _STARTER.submit(forkserver.ensure_running)


class _ChildDied(Exception):  # noqa: N818 - named after what happened
    """The child ended without an answer."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__()
        self.exit_code = exit_code  # negative: the number of a signal; None if it is not known


def modules_of(package: str) -> Iterator[str]:
    """The names of all modules of a package, which are not imported here."""
    spec = find_spec(package)
    for module in iter_modules(None if spec is None else spec.submodule_search_locations):
        name = f"{package}.{module.name}"
        if module.ispkg:
            yield from modules_of(name)
        else:
            yield name


async def _reply_to(task: bytes) -> bytes:
    """What the child sends. _ChildDied if it dies; it is killed when nobody waits for it any more."""
    starting = _STARTER.submit(_start, task)
    try:
        process, replies = await asyncio.wrap_future(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_kill_started)
        raise
    except (OSError, EOFError):
        raise _ChildDied(None) from None
    try:
        await _readable(replies.fileno())
        return await asyncio.to_thread(replies.recv_bytes)
    except (OSError, EOFError):
        raise _ChildDied(await asyncio.to_thread(_exit_code, process)) from None
    finally:
        _kill(process)


def _start(task: bytes) -> Started:
    """A child that runs the task. It takes seconds if the fork server has to start first."""
    try:
        return _start_once(task)
    except (OSError, EOFError):  # the fork server was killed: another starts once the kernel has removed it
        time.sleep(_RESTART_S)
        return _start_once(task)


def _start_once(task: bytes) -> Started:
    replies, sender = _CONTEXT.Pipe(duplex=False)
    with sender:
        process = _CONTEXT.Process(target=run_task, args=(sender, task), daemon=True)
        process.start()
    return process, replies


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _kill_started(starting: Future[Started]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        _kill(starting.result()[0])


def _exit_code(process: ForkServerProcess) -> int | None:
    process.join(_ENDED_S)
    return process.exitcode


def _kill(process: ForkServerProcess) -> None:
    if process.is_alive():
        process.kill()


def _result(reply: bytes) -> object:
    kind, value = pickle.loads(reply)  # noqa: S301 - our own child wrote it
    if kind == "fault":
        raise cast("Fault", value)
    return value
