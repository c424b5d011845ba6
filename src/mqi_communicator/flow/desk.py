"""The desk: heavy or risky work in a child process with limits on memory and time.

Reading DICOM that somebody else wrote, and comparing doses, need much memory once and may go wrong in native code.
In a child none of that stays with a daemon that runs for months, and a deadline can end it. The child dies with us.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pickle
import resource
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar, cast

from mqi_communicator.case.faults import Fault, Permanent, Transient, of_our_disk

P = ParamSpec("P")
T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
_GIB = 1 << 30
_SPARE_S = 60.0  # a spare that is not wanted for so long leaves
_HEAVY = ("numpy", "pydicom", "mqi_communicator.flow.paperwork.judge")


class Desk:
    """Runs functions of this package, each in a fresh interpreter.

    While there is work a spare interpreter is kept that has the heavy libraries loaded; it leaves when nobody came.
    """

    def __init__(self, *, memory_gib: float, limit_s: float) -> None:
        self._memory = int(memory_gib * _GIB)
        self._limit = limit_s
        self._spare: Process | None = None
        self._leave: asyncio.TimerHandle | None = None
        self._coming: asyncio.Task[None] | None = None

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work(*args)` returns, or the fault it raises. Transient if the child died or took too long."""
        order = pickle.dumps((work, args, kwargs, self._memory))
        child = await self._somebody()
        self._call_another()
        try:
            async with asyncio.timeout(self._limit):
                answer, noise = await child.communicate(order)
        except TimeoutError:
            raise Transient(f"{_name(work)} took longer than {self._limit:.0f} s") from None
        finally:
            _end(child)
        return cast("T", _read(answer, noise, child.returncode, work))

    def expect(self) -> None:
        """Work comes soon: somebody may sit down already and load the libraries."""
        self._call_another()

    async def close(self) -> None:
        """Send the spare away."""
        if self._coming is not None:
            await asyncio.gather(self._coming, return_exceptions=True)
        if child := self._take_spare():
            _end(child)
            await child.communicate()

    async def _somebody(self) -> Process:
        if self._coming is not None:
            await asyncio.gather(self._coming, return_exceptions=True)
        return self._take_spare() or await _sit_down()

    def _take_spare(self) -> Process | None:
        spare, self._spare = self._spare, None
        if self._leave is not None:
            self._leave.cancel()
        return spare if spare is not None and spare.returncode is None else None

    def _call_another(self) -> None:
        if self._spare is None and (self._coming is None or self._coming.done()):
            self._coming = asyncio.create_task(self._wait_for_spare())

    async def _wait_for_spare(self) -> None:
        self._spare = await _sit_down()
        self._leave = asyncio.get_running_loop().call_later(_SPARE_S, self._dismiss)

    def _dismiss(self) -> None:
        if (spare := self._take_spare()) and spare.stdin is not None:
            spare.stdin.close()  # it finds no order, and ends


async def _sit_down() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mqi_communicator.flow.desk",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def _end(child: Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _name(work: Callable[..., object]) -> str:
    return getattr(work, "__name__", "work").replace("_", " ")


def _read(answer: bytes, noise: bytes, code: int | None, work: Callable[..., object]) -> object:
    if not answer:
        if b"MemoryError" in noise or code in (-signal.SIGKILL, -signal.SIGSEGV):
            raise Transient(
                f"{_name(work)} ran out of memory", "raise resources.desk_memory_gib, or send a smaller grid"
            )
        raise Transient(f"{_name(work)} ended without an answer (exit {code})", "see the log")
    kind, value = pickle.loads(answer)  # noqa: S301 - our own child wrote it
    if kind == "fault":
        raise cast("Fault", value)
    if kind == "crash":
        raise Transient(f"{_name(work)} failed unexpectedly: {value}", "report this with the log")
    return value


def _attempt(work: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, object]:
    try:
        return "value", work(*args, **kwargs)
    except Fault as fault:
        return "fault", fault
    except MemoryError:
        return "fault", Permanent(
            f"{_name(work)} needs more memory than resources.desk_memory_gib allows",
            "raise resources.desk_memory_gib, or send a smaller grid",
        )
    except Exception as error:  # noqa: BLE001 - told apart from a fault, and never with values that may name a patient
        if isinstance(error, OSError) and (refused := of_our_disk(error)):
            return "fault", refused
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
        return "crash", f"{type(error).__name__} in {where}"


def main() -> None:
    """The child's side: one order in, one answer out."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o077)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is noise
    for name in _HEAVY:
        import_module(name)
    order = sys.stdin.buffer.read()
    if not order:
        return
    work, args, kwargs, memory = pickle.loads(order)  # noqa: S301 - our own parent wrote it
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with reply:
        reply.write(pickle.dumps(_attempt(work, args, kwargs)))


if __name__ == "__main__":
    main()
