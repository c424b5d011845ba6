"""A communicator whose log pipe is closed stops gracefully: it neither works unlogged nor loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.idle_site import write_idle_config
from tests.processes import kill
from tests.seldom import seldom

pytestmark = pytest.mark.real


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_idle_config(tmp_path)


@pytest.mark.parametrize("merged", seldom(["2>errors", "2>&1"], often=["2>errors"]))
def test_it_stops_gracefully(config: Path, tmp_path: Path, merged: str):
    words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(config))
    with (tmp_path / "errors").open("wb") as errors:
        stderr = subprocess.STDOUT if merged == "2>&1" else errors
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=stderr)
    try:
        assert process.stdout is not None
        assert any(b'"started"' in line for line in process.stdout)
        process.stdout.close()
        (tmp_path / "watch").rename(tmp_path / "gone")  # causes a log line
        assert process.wait(60) == 0
    finally:
        kill([process.pid])
    assert (tmp_path / "errors").read_bytes() == b""
