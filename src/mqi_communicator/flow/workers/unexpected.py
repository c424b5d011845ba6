"""What an unexpected end of a task in a worker process means: a fault, in words, with advice.

A task reads files that do not change while it runs. An exception that it does not expect (an internal error, a file
that passes all checks and is wrong in a way nobody thought of) therefore comes back with each try, at the same cost.
So the work item fails at once: its case is examined again when its folder changes, or by `mqi retry`. What the disk or
the installation causes may pass, and is retried.
"""

from __future__ import annotations

import errno
import signal

from mqi_communicator.case.faults import Fault, Permanent, Transient, local_disk_fault
from mqi_communicator.flow.memory import advice

_REPORT = "report this with the log; mqi retry tries again, for example after an update"
_MEMORY = advice()
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}


def fault_of(error: Exception, work: str) -> Fault:
    """The fault for an exception of a task. It names the place in the code; values may name a patient."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return Permanent(f"{work} needs more memory than resources.worker_memory_gib allows", _MEMORY)
    if isinstance(error, OSError) and (refused := local_disk_fault(error)):
        return refused
    why = f"{work} failed unexpectedly: {type(error).__name__} in {_place(error)}"
    if isinstance(error, OSError | ImportError):
        return Transient(why, "report this with the log if it happens again")
    return Permanent(why, _REPORT)


def fault_of_end(exit_code: int | None, work: str) -> Fault:
    """The fault for a worker that ended without an answer. `exit_code`: negative, the number of a signal."""
    if exit_code is not None and -exit_code in _CRASHES:
        name = signal.Signals(-exit_code).name
        return Permanent(
            f"{work} crashed in native code ({name})",
            f"if the case is large, raise resources.worker_memory_gib; otherwise {_REPORT}",
        )
    return Transient(
        f"{work} ended without an answer: it was killed, or ran out of memory", f"if it happens again, {_MEMORY}"
    )


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
