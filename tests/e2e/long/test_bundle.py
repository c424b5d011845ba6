"""A bundle of the last commit installs and rehearses a case where there is no network; a changed file is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = getattr(sys, "_base_executable", sys.executable)
# Its own network, in which this machine can be reached and nothing else.
CUT_OFF = ("unshare", "--net", "sh", "-c", 'ip link set lo up && test -z "$(ip route)" && exec "$@"', "cut-off")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Iterator[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("a bundle is made of a commit, and this is no git checkout")
    file = tmp_path_factory.mktemp("bundle") / "mqi.tar"
    argv = (ROOT / "setup/bundle.sh", "make", file)
    made = subprocess.run(argv, capture_output=True, text=True, timeout=1200, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    yield file
    shutil.rmtree(file.parent)


@pytest.fixture
def place(bundle, tmp_path) -> Iterator[Path]:
    """The bundle, unpacked in an empty folder."""
    subprocess.run(("tar", "-xf", bundle, "-C", tmp_path), timeout=300, check=True)
    (folder,) = tmp_path.glob("mqi-communicator-*")
    yield folder
    shutil.rmtree(folder)


def rehearse(place: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """The demo as on a new machine: an empty home, no setting of pip or Poetry, the system's programs."""
    home = place.with_name("home")
    home.mkdir()
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "MQI_PYTHON": PYTHON}
    argv = (*before, str(place / "deploy.sh"), "--demo")
    return subprocess.run(argv, env=clean, capture_output=True, text=True, timeout=900, check=False)


def test_a_bundle_goes_through_to_a_verdict_without_a_network(place):
    if os.geteuid() != 0:
        pytest.skip("only root can cut a network off (unshare --net), and without that nothing would be proved")
    ended = rehearse(place, *CUT_OFF)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "verdict: pass" in ended.stdout
    assert "what the machine recorded, fraction 1: pass" in ended.stdout
    assert not (place / ".setup/poetry").exists()


def test_a_wheel_with_one_other_byte_is_refused_by_name_and_nothing_is_installed(place):
    wheel = next(place.glob("bundle/wheels/numpy-*.whl"))
    with wheel.open("r+b") as file:
        file.seek(wheel.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    ended = rehearse(place)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[1:] == [f"  bundle/wheels/{wheel.name} was changed"]
    assert not (place / ".venv").exists()
    assert not (place / ".setup/mcsquare").exists()
