"""The desk: heavy or risky work in a child process with limits on memory and time.

Reading DICOM that somebody else wrote, and comparing doses, need much memory once and may go wrong in native code.
In a child none of that stays with a daemon that runs for months, and a deadline can end it. The child dies with us.

An office is a process that loads the libraries of what is to be done, and forks: loading them costs seconds, a fork
next to nothing. It runs no thread and computes nothing itself, so that its children begin clean: it loads compiled code
too, but only they run it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import os
import pickle
import resource
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from mqi_communicator.case.faults import CpuTimeExceeded, Fault, Permanent, Transient, local_disk_fault

P = ParamSpec("P")
T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
_GIB = 1 << 30
_GRACE_CPU_S = 30  # of processor time, between the signal and the end
_IDLE_S = 60.0  # an office that nobody needs for so long closes
_HEAVY = ("numpy", "pydicom")
CACHE = "NUMBA_CACHE_DIR"  # where numba keeps what it has compiled
KERNELS = ("mqi_communicator.results.gamma_kernel",)
_LATE = {  # what a module loads only when it is needed
    "mqi_communicator.flow.tasks.judge": KERNELS,
    "mqi_communicator.flow.tasks.report": (
        *KERNELS,
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "reportlab.platypus",
    ),
}


@dataclass(frozen=True)
class _Office:
    process: Process
    door: socket.socket

    @property
    def open(self) -> bool:
        return self.process.returncode is None


class WorkerPool:
    """Runs functions of this package, each in a process of its own. `cache`: where they find code that was compiled."""

    def __init__(self, *, memory_gib: float, limit_s: float, cache: Path | None = None) -> None:
        self._memory = int(memory_gib * _GIB)
        self._limit = limit_s
        self._environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **({CACHE: str(cache)} if cache else {})}
        self._office: asyncio.Task[_Office] | None = None
        self._orders = 0
        self._leave: asyncio.TimerHandle | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work(*args)` returns, or the fault it raises. Transient if the child died or took too long."""
        return cast("T", await self._order(work, args, kwargs, cpu_s=0.0))

    async def run_within(self, cpu_s: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same with a limit on processor time, which neither a slow disk nor a busy machine uses up.
        CpuTimeExceeded where `work` takes more."""
        return cast("T", await self._order(work, args, kwargs, cpu_s=cpu_s))

    async def _order(self, work: Callable[..., Any], args: Any, kwargs: Any, *, cpu_s: float) -> object:
        order = pickle.dumps((work, args, kwargs, self._memory, cpu_s))
        self._orders += 1
        try:
            async with asyncio.timeout(self._limit):
                answer = await self._hand_over(work.__module__, order)
        except TimeoutError:
            raise Transient(f"{_name(work)} took longer than {self._limit:.0f} s") from None
        except OSError:  # the office was closed from outside
            answer = b""
        finally:
            self._orders -= 1
            self._close_when_idle()
        return _read(answer, work)

    def warm_up(self) -> None:
        """Work comes soon: an office may open already and load the libraries."""
        self._open()
        self._close_when_idle()

    async def close(self) -> None:
        """Close the office."""
        if self._leave is not None:
            self._leave.cancel()
        opening, self._office = self._office, None
        if opening is not None:
            with contextlib.suppress(OSError):
                office = await opening
                office.door.close()
                _end(office.process)
                await office.process.wait()

    async def _hand_over(self, module: str, order: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            office = await asyncio.shield(self._open())
            try:
                socket.send_fds(office.door, [module.encode()], [theirs.fileno()])
            except OSError:  # it has just died
                self._forget()
                office = await asyncio.shield(self._open())
                socket.send_fds(office.door, [module.encode()], [theirs.fileno()])
        reader, writer = await asyncio.open_connection(sock=ours)
        child = -1
        try:
            child = os.pidfd_open(int(await reader.readline() or b"0"))
            writer.write(order)
            writer.write_eof()
            return await reader.read()
        except ValueError:  # it ended before it could say its number
            return b""
        finally:
            writer.close()
            if child < 0:
                self._forget()  # an office that does not get round to it is not kept
            else:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(child, signal.SIGKILL)
                os.close(child)

    def _open(self) -> asyncio.Task[_Office]:
        if self._leave is not None:
            self._leave.cancel()
        now = self._office
        if now is not None and now.done() and (now.cancelled() or now.exception() or not now.result().open):
            self._forget()
        if self._office is None:
            self._office = asyncio.create_task(_open_office(self._environment))
        return self._office

    def _close_when_idle(self) -> None:
        if self._orders == 0:
            self._leave = asyncio.get_running_loop().call_later(_IDLE_S, self._dismiss)

    def _dismiss(self) -> None:
        if self._orders == 0:
            self._forget()

    def _forget(self) -> None:
        """Close the door: an office that hears no more orders ends."""
        office, self._office = self._office, None
        if office is not None and office.done() and not office.cancelled() and not office.exception():
            office.result().door.close()


async def _open_office(environment: Mapping[str, str]) -> _Office:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mqi_communicator.flow.workers.pool",
            stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True, env=environment,
        )  # fmt: skip
    return _Office(process, ours)


def _end(child: Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _name(work: Callable[..., object]) -> str:
    return getattr(work, "__name__", "work").replace("_", " ")


def _read(answer: bytes, work: Callable[..., object]) -> object:
    if not answer:
        raise Transient(
            f"{_name(work)} ended without an answer: it was killed, or ran out of memory",
            "if it happens again, raise resources.worker_memory_gib, or send a smaller grid",
        )
    kind, value = pickle.loads(answer)  # noqa: S301 - our own child wrote it
    if kind == "fault":
        raise cast("Fault", value)
    if kind == "crash":
        raise Transient(f"{_name(work)} failed unexpectedly: {value}", "report this with the log")
    return value


class _TimeIsUp(BaseException):
    """Raised wherever the work is; no handler of ordinary errors keeps it."""


def _limit_time(cpu_s: float) -> None:
    """Raise _TimeIsUp after so much processor time; native code that does not come back for it is killed."""

    def up(number: int, frame: object) -> None:  # noqa: ARG001 - as signal() calls it
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # it comes again every second
        raise _TimeIsUp

    signal.signal(signal.SIGXCPU, up)
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + _GRACE_CPU_S))


def _attempt(work: Callable[..., Any], args: Any, kwargs: Any, cpu_s: float = 0.0) -> tuple[str, object]:
    try:
        if cpu_s > 0:
            _limit_time(cpu_s)
        return "value", work(*args, **kwargs)
    except _TimeIsUp:
        return "fault", CpuTimeExceeded(f"{_name(work)} took more than {cpu_s:g} s of processor time")
    except Fault as fault:
        return "fault", fault
    except MemoryError:
        return "fault", Permanent(
            f"{_name(work)} needs more memory than resources.worker_memory_gib allows",
            "raise resources.worker_memory_gib, or send a smaller grid",
        )
    except Exception as error:  # noqa: BLE001 - told apart from a fault, and never with values that may name a patient
        if isinstance(error, OSError) and (refused := local_disk_fault(error)):
            return "fault", refused
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
        return "crash", f"{type(error).__name__} in {where}"


def main() -> None:
    """The office's side: for each order that is handed in a child, until the door is closed."""
    _die_with_parent()
    os.umask(0o077)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children; they answer
    _load(_HEAVY)
    door = socket.socket(fileno=os.dup(0))
    office = os.getpid()
    while True:
        module, given, *_ = socket.recv_fds(door, 1024, 1)
        if not module:
            with contextlib.suppress(ChildProcessError):
                os.wait()  # for all children: they die with us, and may be at work for somebody still
            return
        _load((module.decode(), *_LATE.get(module.decode(), ())))
        if os.fork() == 0:
            door.close()
            _work(given[0], office)
        os.close(given[0])


def _load(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):  # the child that needs it will say so
            import_module(name)


def _work(workers: int, office: int) -> None:
    """The child's side: one order in, one answer out."""
    code = 1
    try:
        _die_with_parent()
        if os.getppid() != office:
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with socket.socket(fileno=workers) as connection, connection.makefile("rwb") as file:
            file.write(b"%d\n" % os.getpid())
            file.flush()
            if order := file.read():
                work, args, kwargs, memory, cpu_s = pickle.loads(order)  # noqa: S301 - our own parent wrote it
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
                file.write(pickle.dumps(_attempt(work, args, kwargs, cpu_s)))
        code = 0
    finally:
        os._exit(code)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
