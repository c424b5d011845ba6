"""The wheel and the source distribution, installed with pip alone into an empty environment: the demo passes there."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PYTHON = getattr(sys, "_base_executable", sys.executable)
KEPT = ("HOME", "LANG", "PIP_", "HTTP", "http", "NO_PROXY", "no_proxy", "SSL", "REQUESTS")
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("dist")
    settings = {**os.environ, "MQI_BUILD_PYTHON": sys.executable}
    subprocess.run((ROOT / ".ci/build", folder), env=settings, timeout=300, check=True)
    return folder


class Installed:
    """An environment of its own, in a folder with a space, in which nothing of the checkout can be found."""

    def __init__(self, folder: Path, package: Path) -> None:
        self.folder, self.bin = folder, folder / "an environment/bin"
        subprocess.run((PYTHON, "-m", "venv", self.bin.parent), timeout=300, check=True)
        # The versions that were tested; pip would take newer ones.
        argv = (sys.executable, ROOT / "setup/lockfile.py", "run")
        locked = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        limits = folder / "limits.txt"
        limits.write_text("\n".join(line.split(" --hash")[0] for line in locked.splitlines()))
        install = (self.bin / "python", "-m", "pip", "install", "--no-compile", "-c", limits, package)
        ended = subprocess.run(install, capture_output=True, text=True, timeout=1200, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def mqi(self, *words: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        clean["PATH"] = f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
        argv = ("mqi", *words)
        return subprocess.run(
            argv, executable=self.bin / "mqi", env=clean, cwd=self.folder, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Installed:
    (wheel,) = built.glob("*.whl")
    return Installed(tmp_path_factory.mktemp("empty"), wheel)


def test_it_says_its_version_and_completes_its_commands(installed):
    assert installed.mqi("--version").stdout == f"mqi-communicator {VERSION}\n"
    assert "complete" in installed.mqi("--show-completion", "bash").stdout


def test_the_examples_of_the_checkout_are_those_of_the_wheel(installed):
    assert installed.mqi("config", "example").stdout == (ROOT / "config.example.yaml").read_text()
    assert installed.mqi("config", "example", "--minimal").stdout == (ROOT / "config.minimal.yaml").read_text()


def test_the_demo_passes(installed):
    """With the engine that it fetches itself, and every file that is no module: script, samples, templates, styles."""
    ended = installed.mqi("demo", "--folder", installed.folder / "the demo", timeout=1500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "verdict: pass" in ended.stdout
    assert "what the machine recorded, fraction 1: pass" in ended.stdout
    assert (installed.folder / "the demo/mcsquare/MCsquare_linux").is_file()
    config = installed.folder / "the demo/slot-1/config.yaml"
    assert json.loads(installed.mqi("status", "--json", "--config", config).stdout)
    start = shlex.join(("mqi", "run", "--config", str(config)))
    assert f"cases wait until it is started: {start}" in installed.mqi("status", "--config", config).stdout


def test_every_file_of_the_package_is_in_the_wheel_and_in_the_source(built):
    tracked = subprocess.run(
        ("git", "ls-files", "src"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    in_wheel = _names(("-m", "zipfile", "-l", wheel))
    in_source = _names(("-m", "tarfile", "-l", source))
    assert {name.removeprefix("src/") for name in tracked} <= in_wheel
    assert {f"mqi_communicator-{VERSION}/{name}" for name in tracked} <= in_source


def _names(listing: tuple[str | Path, ...]) -> set[str]:
    argv = (sys.executable, *listing)
    output = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    return {line.split()[0] for line in output.splitlines() if line.strip()}
