"""What a worker process does: it runs one task within its limits, and sends back the result or the fault."""

from __future__ import annotations

import math
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mqi_communicator.case.faults import CpuTimeExceeded, Fault
from mqi_communicator.flow.workers import fork_server
from mqi_communicator.flow.workers.compiled import CACHE
from mqi_communicator.flow.workers.unexpected import fault_of
from mqi_communicator.system.parent import die_with_parent, end_before_the_communicator

OOM_SCORE = 500


@dataclass(frozen=True, slots=True)
class Task:
    """A function, its arguments, its limits, and where compiled code is.

    `cpu_s`: processor time, 0 for no limit; `grace_s`: more of it, after which native code is killed.
    """

    work: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    memory_bytes: int
    cpu_s: float
    grace_s: int
    cache: str


def run_task(replies: Connection, pickled: bytes) -> None:
    """Run a pickled Task, and send its result, pickled: ("value", V) or ("fault", F)."""
    die_with_parent()
    if os.getppid() != fork_server.SERVER:
        return  # it ended before this process was bound to it
    end_before_the_communicator(OOM_SCORE)
    task: Task = pickle.loads(pickled)  # noqa: S301 - the communicator wrote it
    if task.cache:
        _keep_compiled_code_in(task.cache)
    resource.setrlimit(resource.RLIMIT_DATA, (task.memory_bytes, task.memory_bytes))
    replies.send_bytes(_answer(task))


def _keep_compiled_code_in(folder: str) -> None:
    os.environ[CACHE] = folder
    if (numba := sys.modules.get("numba")) is not None:  # it has read the variable when it was loaded
        numba.config.CACHE_DIR = folder


def name_of(work: Callable[..., object]) -> str:
    """What a function is called in messages."""
    return getattr(work, "__name__", "task").replace("_", " ")


class _TimeIsUp(BaseException):
    """Raised wherever the task is; no handler of ordinary errors catches it."""


def _limit_cpu(cpu_s: float, grace_s: int) -> None:
    """Raise _TimeIsUp after so much processor time; native code that does not return to Python is killed."""

    def up(number: int, frame: object) -> None:  # noqa: ARG001 - as signal() calls it
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # it comes again every second
        raise _TimeIsUp

    signal.signal(signal.SIGXCPU, up)
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + grace_s))


def _answer(task: Task) -> bytes:
    """The pickled result of the task, or its fault; a result that cannot be pickled is a fault of the task as well."""
    try:
        if task.cpu_s > 0:
            _limit_cpu(task.cpu_s, task.grace_s)
        return pickle.dumps(("value", task.work(*task.args, **task.kwargs)))
    except _TimeIsUp:
        fault: Fault = CpuTimeExceeded(f"{name_of(task.work)} took more than {task.cpu_s:g} s of processor time")
    except Fault as raised:
        fault = raised
    except Exception as error:  # noqa: BLE001 - reported without its values, which may name a patient
        fault = fault_of(error, name_of(task.work))
    return pickle.dumps(("fault", fault))
