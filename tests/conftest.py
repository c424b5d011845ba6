"""Fixtures for every tier, and the guard that keeps pure code pure."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

# How long an example takes says how busy the machine is, and nothing of the code.
# ./test.sh tries the same examples each time; ./test.sh --long tries new ones, and shows those that fail.
_NEW = os.environ.get("MQI_EXAMPLES") == "new"
settings.register_profile("mqi", deadline=None, derandomize=not _NEW, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mqi")

_CACHE = str(Path(__file__).parents[1] / ".hypothesis")
set_hypothesis_home_dir(_CACHE)

# Every communicator of a test has a workspace of its own: compiled code is shared, or each would compile it anew.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache/kernels"))

_FORBIDDEN = ("open", "socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
_CODE = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_watching = False


def _guard(event: str, args: tuple[object, ...]) -> None:
    if not _watching or event not in _FORBIDDEN:
        return
    name = str(args[0]) if args else ""
    if event == "open" and (name.endswith((".py", ".pyc", ".so")) or name.startswith(_CODE)):
        return  # the interpreter importing itself
    if event == "open" and (name.startswith(_CACHE) or isinstance(args[0], int)):
        return  # the cache of hypothesis, which another run may have changed; a descriptor was checked when it was made
    raise AssertionError(f"pure code did I/O: {event} {name}")


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def _pure(request: pytest.FixtureRequest):
    """Tests marked `pure` may open no file, no socket and no process."""
    global _watching  # noqa: PLW0603 - an audit hook can be added, never removed
    _watching = request.node.get_closest_marker("pure") is not None
    yield
    _watching = False


@pytest.fixture(autouse=True)
def _log():
    """A command that a test runs in this process may set up the log, on an output that is closed with the test."""
    yield
    if (structlog := sys.modules.get("structlog")) is not None and structlog.is_configured():
        structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stories of tests/e2e/long are marked `long`."""
    for item in items:
        if "e2e/long" in item.path.as_posix():
            item.add_marker("long")
