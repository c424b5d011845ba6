"""An idle daemon stays small: what is heavy is loaded where it is used, in a child process."""

from __future__ import annotations

import subprocess
import sys

from mqi_communicator.app import WORKER_PACKAGES
from mqi_communicator.flow.workers.pool import REPORT_PACKAGE, modules_of

HEAVY = {"jinja2", "matplotlib", "numba", "numpy", "pydicom", "pymedphys", "reportlab", "scipy"}
HEAVY |= {"argon2", "h11", "starlette", "uvicorn"}  # of the dashboard, which is a process of its own


def test_building_the_application_loads_nothing_heavy():
    code = "import sys; import mqi_communicator.cli.run; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in ended.stdout.split()} & HEAVY == set()


def loaded_with(*packages: str) -> set[str]:
    """What is loaded with the modules that the fork server loads, and those of these packages."""
    code = """
import sys
from importlib import import_module
from mqi_communicator.flow.workers.fork_server import PRELOAD
modules = [*PRELOAD, *sys.argv[1:]]
list(map(import_module, modules))
print(*sys.modules)
"""
    modules = [module for package in packages for module in modules_of(package)]
    argv = [sys.executable, "-c", code, *modules]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ended.stdout.split()}


def test_workers_have_loaded_what_cases_need_and_neither_a_database_nor_an_event_loop():
    loaded = loaded_with(*WORKER_PACKAGES, REPORT_PACKAGE)
    assert loaded >= {"numpy", "pydicom", "numba", "matplotlib", "reportlab"}
    assert loaded & {"sqlalchemy", "asyncio"} == set()


def test_without_reports_workers_have_not_loaded_what_draws_them():
    loaded = loaded_with(*WORKER_PACKAGES)
    assert loaded >= {"numpy", "pydicom", "numba"}
    assert loaded & {"matplotlib", "reportlab"} == set()
