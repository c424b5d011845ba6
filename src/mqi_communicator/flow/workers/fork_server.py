"""Set up the fork server: `multiprocessing` imports this module there, once, before the first task.

Loading the libraries of tasks takes seconds, a fork next to nothing. The server runs no thread and no task itself, so
that every child starts clean. It loads what the comparison needs too, and the packages that the pool names (those of
the engine, and of reports where they are drawn): that is 2 to 4 s of a processor for each case, against 80 MB of memory
that all workers share. Compiled kernels are loaded if they are compiled already.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import sys
from importlib import import_module

from mqi_communicator.flow.workers.compiled import load_compiled
from mqi_communicator.system.parent import die_with_parent

PRELOAD = (
    "numpy",
    "pydicom",
    "numba",
    "mqi_communicator.intake.admit",
    "mqi_communicator.intake.spooling",
    "mqi_communicator.flow.tasks.beam",
    "mqi_communicator.flow.tasks.engine_input",
    "mqi_communicator.flow.tasks.figures",
    "mqi_communicator.flow.tasks.judge",
)
SERVER = 0  # its process id, in the server and in its children


def _set_up() -> None:
    die_with_parent()
    os.setsid()  # a Ctrl-C in the terminal is for the communicator alone
    os.umask(0o077)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # libraries may print values of a patient
        os.dup2(nowhere, stream)
    os.close(nowhere)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in PRELOAD:
        with contextlib.suppress(Exception):  # the task that needs it reports it
            import_module(name)
    with contextlib.suppress(Exception):
        load_compiled()
    gc.freeze()  # so that a collection in a child does not copy the pages of what is loaded


if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    SERVER = os.getpid()
    _set_up()
