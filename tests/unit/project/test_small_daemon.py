"""An idle daemon stays small: what is heavy is loaded where it is used, in a child process."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"jinja2", "matplotlib", "numba", "numpy", "pydicom", "pymedphys", "reportlab", "scipy"}
HEAVY |= {"argon2", "h11", "starlette", "uvicorn"}  # of the dashboard, which is a process of its own


def test_building_the_application_loads_nothing_heavy():
    code = "import sys; import mqi_communicator.cli.run; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in ended.stdout.split()} & HEAVY == set()


def test_workers_have_loaded_what_cases_need_and_neither_a_database_nor_an_event_loop():
    code = "import sys; from mqi_communicator.flow.workers.fork_server import PRELOAD; list(map(__import__, PRELOAD)); "
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert loaded >= {"numpy", "pydicom", "numba", "matplotlib", "reportlab"}
    assert loaded & {"sqlalchemy", "asyncio"} == set()
