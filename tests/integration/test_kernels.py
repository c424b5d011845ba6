"""Compiled code: compiled once, before a case needs it, and found by the tasks that need it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from mqi_communicator.flow.workers import kernels
from mqi_communicator.flow.workers.pool import WorkerPool

pytestmark = pytest.mark.real


def taken_from_the_cache() -> tuple[bool, int, int]:
    """Whether the kernel was loaded before this task; how often it is loaded from the cache, and compiled."""
    loaded = "mqi_communicator.results.gamma_kernel" in sys.modules
    stats = import_module("mqi_communicator.results.gamma_kernel").search.stats
    return loaded, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


async def test_a_kernel_is_compiled_once_and_then_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    folder = kernels.cache_of(tmp_path)
    assert folder == tmp_path / "kernels"
    workers = WorkerPool(memory_gib=4, limit_s=120, cache=folder)
    await kernels.make_kernels(workers, folder)
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert any(path.suffix == ".nbc" for path in made)
    assert await workers.run(taken_from_the_cache) == (False, 1, 0)
    monkeypatch.setattr(workers, "run", None)  # nothing is left to do
    await kernels.make_kernels(workers, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == made


def test_the_cache_is_where_the_site_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert kernels.cache_of(tmp_path) == Path("/elsewhere")


async def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mqi_communicator.flow.workers.kernels.KERNELS", ())
    blocked = tmp_path / "a file"
    blocked.write_text("")
    kernels.compile_kernels(blocked / "made")
    assert not (blocked / "made").exists()
