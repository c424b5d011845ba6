"""`mqi check` tries the engine: GPUs that it needs, and libraries that it loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.seldom import seldom
from tests.standin.write_site import write_site

from mqi_communicator.checks.finding import Finding
from mqi_communicator.checks.hosts import check_host
from mqi_communicator.config import load

LOADER = "tps_env: error while loading shared libraries: libcudart.so.12: cannot open shared object file"


async def findings(config: Path) -> list[Finding]:
    loaded = load(config)
    return [finding async for finding in check_host(loaded, loaded.all_hosts[0])]


def without_gpus(config: Path) -> None:
    output = json.loads(config.read_text())
    del output["gpus"]
    config.write_text(json.dumps(output))


async def test_the_stand_in_starts_and_leaves_nothing_behind(tmp_path):
    """A start without input is no run: the fault of the first run is still to come."""
    config = write_site(tmp_path, behaves={"fault": "save-crash", "fault_runs": 1, "witness": str(tmp_path / "w")})
    found = await findings(config)
    assert [finding.what for finding in found if not finding.ok] == []
    assert any(finding.what.endswith("tps_env starts") for finding in found)
    assert not (tmp_path / "w").exists()
    assert not (tmp_path / "host" / "tps_env.count").exists()


@pytest.mark.parametrize("stdbuf", seldom([True, False], often=[False]))
async def test_a_library_that_is_not_found_is_named(tmp_path, stdbuf):
    config = write_site(tmp_path, stdbuf=stdbuf)
    (tmp_path / "host" / "tps_env").write_text(f"#!/bin/sh\necho '{LOADER}' >&2\nexit 127\n")
    (bad,) = [finding for finding in await findings(config) if not finding.ok]
    assert "tps_env cannot be started (exit code 127)" in bad.what
    assert "libcudart.so.12" in bad.what
    assert "LD_LIBRARY_PATH" in bad.advice


async def test_a_plain_host_whose_gpus_are_not_configured_is_no_host_for_moqui(tmp_path):
    config = write_site(tmp_path)
    without_gpus(config)
    (bad,) = [finding for finding in await findings(config) if not finding.ok]
    assert "the dose engine needs a GPU" in bad.what
    assert "gpus: {}" in bad.advice
