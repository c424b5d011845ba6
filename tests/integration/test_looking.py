"""Commands that look create neither folders nor a store: they would belong to whoever gave the command."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.boards import configure
from typer.testing import CliRunner

from mqi_communicator.checks import folders
from mqi_communicator.cli.main import app
from mqi_communicator.config import load

pytestmark = pytest.mark.real
OURS = ("workspace", "results", "watch")
CHECKS = (folders.watch_folder, folders.workspace_folder, folders.results_folder)


@pytest.fixture
def config(tmp_path) -> Path:
    """A configuration whose folders do not exist."""
    made = configure(tmp_path / "a site")
    for name in OURS:
        (made.parent / name).rmdir()
    return made


def invoke(config: Path, *words: str):
    return CliRunner().invoke(app, [*words, "--config", str(config)])


@pytest.mark.parametrize(
    "words",
    [("status",), ("show", "x"), ("why", "x"), ("trend",), ("audit", "x"), ("report", "x"), ("web",)],
    ids="-".join,
)
def test_a_command_that_looks_says_that_there_is_no_store_and_creates_nothing(config, words):
    ended = invoke(config, *words)
    assert ended.exit_code == 1, ended.output
    assert "there is no store yet" in ended.output
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


def test_the_dashboard_creates_no_store_in_a_folder_that_exists(config):
    (config.parent / "workspace").mkdir()
    assert "paths.workspace" in invoke(config, "web").output
    assert list((config.parent / "workspace").iterdir()) == []


def test_each_missing_folder_is_named_with_the_command_that_creates_it(config):
    found = [check(load(config)) for check in CHECKS]
    assert [one.ok for one in found] == [False] * 3
    assert folders.free_space(load(config)).what.startswith("0") is False  # of the disk in which it will be
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]
    for one in found:
        assert "does not exist" in one.what
        command = re.sub(r"\bUSER\b", str(os.getuid()), one.advice[one.advice.index("install -d -o ") :])
        subprocess.run(shlex.split(command), check=True)
    assert [check(load(config)).what.rsplit(" ", 1)[1] for check in CHECKS] == ["readable", "writable", "writable"]
    assert (config.parent / "workspace").stat().st_mode & 0o777 == 0o700
    assert (config.parent / "results").stat().st_mode & 0o777 == 0o750


def test_what_root_can_write_proves_nothing_for_the_account_that_owns_the_workspace(config):
    if os.geteuid() != 0 or not shutil.which("chown"):
        pytest.skip("needs root")
    (config.parent / "workspace").mkdir(mode=0o700)
    os.chown(config.parent / "workspace", 65534, -1)
    found = folders.workspace_folder(load(config))
    assert not found.ok
    assert "sudo -u nobody" in found.advice
