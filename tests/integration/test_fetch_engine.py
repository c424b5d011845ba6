"""mqi fetch-engine as a person runs it: in odd places, with bad luck."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def fetch(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqi_communicator", "fetch-engine", *(str(argument) for argument in arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.fixture(scope="module")
def home() -> Path:
    default = Path(__file__).parents[2] / ".setup" / "mcsquare"
    path = Path(os.environ.get("MQI_ENGINE_HOME", default))
    if not (path / "MCsquare_linux").is_file():
        pytest.fail(f"the engine is not in {path}: run ./test.sh, or ./mqi fetch-engine '{path}'")
    return path


@pytest.mark.real
def test_what_was_fetched_is_whole_and_a_second_run_leaves_it_alone(home):
    before = (home / "SHA256SUMS").stat().st_mtime_ns
    done = fetch(home, PIP_INDEX_URL="http://127.0.0.1:9/none")  # nothing is asked of any index
    assert done.returncode == 0, done.stderr
    assert (home / "SHA256SUMS").stat().st_mtime_ns == before
    assert os.access(home / "MCsquare_linux", os.X_OK)
    assert not [
        path for folder in ("BDL", "Scanners") for path in (home / folder).rglob("*.txt") if b"\r" in path.read_bytes()
    ]
    assert "not redistributed" in (home / "README").read_text()


def test_an_unreachable_index_is_said_and_leaves_nothing(tmp_path):
    target = tmp_path / "a b" / "engine"
    options = {"PIP_INDEX_URL": "http://127.0.0.1:9/none", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = fetch(target, **options)
    assert done.returncode == 1
    assert "cannot download opentps-core==3.0.0" in done.stderr
    assert "reachable" in done.stderr
    assert list(target.parent.iterdir()) == []


def test_a_python_without_pip_is_said(tmp_path):
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/__init__.py").touch()
    (tmp_path / "pip/__main__.py").write_text("raise SystemExit('no pip here')")
    done = fetch(tmp_path / "engine", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "no pip here" in done.stderr
    assert "--wheel" in done.stderr


def test_a_wheel_of_another_digest_is_not_used(tmp_path):
    wheel = tmp_path / "opentps_core-3.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("opentps/core/processing/doseCalculation/protons/MCsquare/MCsquare_linux", b"#!/bin/sh\n")
    done = fetch(tmp_path / "engine", "--wheel", wheel)
    assert done.returncode == 1
    assert "expected b9d9443bbf2af14affeff9ce1791d88a7822a40dfe98816d988e729b5712f93f" in done.stderr
    assert not (tmp_path / "engine").exists()


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = fetch(tmp_path)
    assert done.returncode == 1
    assert "is not a fetched engine" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
