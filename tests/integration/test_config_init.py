"""`mqi config init` with a real sshd: each answer is proved, a wrong one is asked for again, and the file loads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.truth_engine import BEAM_MODEL, DENSITY_CURVE, MATERIAL_CURVE
from mqi_communicator.system.command import typed, typed_start

ENGINE = Path(os.environ.get("MQI_ENGINE_HOME", Path(__file__).parents[2] / ".setup/mcsquare"))
pytestmark = pytest.mark.real


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path / "host") as private:
        yield private


def init(config: Path, answers: list[str]) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", "mqi_communicator", "config", "init", "--config", str(config))
    typed = "".join(f"{answer}\n" for answer in answers)
    return subprocess.run(argv, input=typed, capture_output=True, text=True, timeout=180, check=False)


def test_a_site_answers_and_its_configuration_is_proved(tmp_path, host):
    for name in ("in", "work", "out"):
        (tmp_path / name).mkdir()
    reach, folders = host.options(), [str(tmp_path / name) for name in ("in", "work", "out")]
    paths = [*folders, str(tmp_path / "there")]
    ssh = ["here", str(reach.host), str(reach.user), str(reach.identity_file), str(reach.known_hosts_file)]
    machine = [str(ENGINE / BEAM_MODEL), "A. Physicist", "2026-01-31"]
    curve = [str(ENGINE / DENSITY_CURVE), str(ENGINE / MATERIAL_CURVE), "", "n"]
    answers = [
        str(tmp_path / "nowhere"), *paths[1:], "y",  # a watched folder that does not exist: asked again
        *paths,
        *ssh, "1", "y",  # a port on which nothing listens
        *ssh, str(reach.port),
        "mcsquare", str(ENGINE),
        "GTR1", str(tmp_path / "no model"), "A. Physicist", "2026-01-31", "y",
        "GTR1", *machine, "y", "GTR2", *machine, "n",
        "MAKER|MODEL|CT1", *curve,
        "RaySearch Laboratories", "water", "rbe", "course", "n",
    ]  # fmt: skip
    config = tmp_path / "config.yaml"
    ended = init(config, answers)
    proof = ended.stdout.split("is written", 1)[1].splitlines()
    assert [line for line in proof if line.startswith("NO") and "metrics page" not in line] == [], ended.stdout
    for wrong in (
        f"NO  paths.watch {tmp_path}/nowhere",
        "here refuses connections",
        "no model cannot be read",
    ):
        assert wrong in ended.stdout
    assert f"start the communicator:  {typed_start(config)}" in ended.stdout
    assert f"rehearse a machine with a sample:  {typed('sample', 'rehearsal', '--machine', 'GTR1')}" in ended.stdout
    made = load(config)
    assert list(made.machines) == ["GTR1", "GTR2"]
    assert made.ssh is not None
    assert made.ssh.port == reach.port
    assert not list(tmp_path.glob(".config*"))
    assert "a job runs on here" in ended.stdout


def test_what_exists_is_not_replaced(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("mine: true\n")
    ended = init(config, [])
    assert (ended.returncode, config.read_text()) == (1, "mine: true\n")
    assert "exists" in ended.stderr


def test_an_interrupted_talk_writes_nothing(tmp_path):
    ended = init(tmp_path / "config.yaml", [str(tmp_path)])
    assert ended.returncode == 130
    assert list(tmp_path.iterdir()) == []
