"""Compiled code: compiled once, before a case needs it, and found by the tasks that need it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mqi_communicator.flow.workers import compiled, kernels

pytestmark = pytest.mark.real

COMMUNICATOR = """
import asyncio, sys
from pathlib import Path
from mqi_communicator.flow.workers import compiled, kernels
from mqi_communicator.flow.workers.pool import WorkerPool
from tests.integration.test_kernels import taken_from_the_cache

async def main():
    folder = compiled.cache_of(Path(sys.argv[1]))
    workers = WorkerPool(memory_gib=4, limit_s=300, cache=folder)
    await kernels.make_kernels(workers, folder)
    print(*await workers.run(taken_from_the_cache))

if __name__ == "__main__":
    asyncio.run(main())
"""


def taken_from_the_cache() -> tuple[bool, int, int]:
    """Whether the kernel was loaded before this task; how often it is loaded from the cache, and compiled."""
    loaded = "mqi_communicator.results.gamma_kernel" in sys.modules
    stats = import_module("mqi_communicator.results.gamma_kernel").search.stats
    return loaded, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


def start(folder: Path) -> list[str]:
    """What the first task of a communicator that starts finds."""
    script = folder / "communicator.py"
    script.write_text(COMMUNICATOR)
    settings = {name: value for name, value in os.environ.items() if name != compiled.CACHE}
    settings["PYTHONPATH"] = str(Path(__file__).parents[2])
    words = (sys.executable, str(script), str(folder))
    return subprocess.run(words, env=settings, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.long
def test_a_kernel_is_compiled_once_and_then_loaded_by_the_fork_server(tmp_path: Path):
    assert start(tmp_path) == ["False", "1", "0"]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").rglob("*")}
    assert any(path.suffix == ".nbc" for path in made)
    assert start(tmp_path) == ["True", "1", "0"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kernels").rglob("*")} == made


def test_the_fork_server_never_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    loaded: list[str] = []
    monkeypatch.setenv(compiled.CACHE, str(tmp_path))
    monkeypatch.setattr(compiled, "import_module", loaded.append)
    compiled.load_compiled()
    assert loaded == []
    compiled.mark_of(tmp_path).touch()
    compiled.load_compiled()
    assert loaded == list(compiled.KERNELS)


def test_the_cache_is_where_the_site_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert compiled.cache_of(tmp_path) == Path("/elsewhere")


async def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mqi_communicator.flow.workers.kernels.KERNELS", ())
    blocked = tmp_path / "a file"
    blocked.write_text("")
    kernels.compile_kernels(blocked / "made")
    assert not (blocked / "made").exists()
