"""A command that a message prints can be pasted: it names the program that this user has."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from mqi_communicator.system import command

PACKAGE = Path(command.__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout, in a folder with a space."""
    folder = tmp_path / "a folder"
    (folder / "setup").mkdir(parents=True)
    (folder / "setup/prepare.sh").touch()
    for name in ("mqi", "deploy.sh"):
        (folder / name).touch()
    monkeypatch.setattr(command, "_ROOT", folder)
    monkeypatch.setattr(sys, "argv", ["mqi"])
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program `mqi` of an environment, in a folder with a space, which is not on the PATH."""
    program = tmp_path / "an environment/bin/mqi"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(command, "_ROOT", tmp_path / "lib")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/usr/bin")
    return program


def test_in_the_checkout_it_is_short(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    assert command.typed("why", "CASE") == "./mqi why CASE"
    assert command.typed_start(Path("config.yaml")) == "./deploy.sh config.yaml"


def test_from_elsewhere_it_is_the_path_of_the_checkout(checkout, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shlex.split(command.typed("status")) == [str(checkout / "mqi"), "status"]
    assert shlex.split(command.typed_start(Path("my config.yaml"))) == [str(checkout / "deploy.sh"), "my config.yaml"]


def test_of_a_folder_that_is_gone(checkout, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert shlex.split(command.typed("status")) == [str(checkout / "mqi"), "status"]


def test_installed_and_on_the_path_it_is_its_name(installed, monkeypatch):
    monkeypatch.setenv("PATH", str(installed.parent))
    assert command.typed("why", "a case") == "mqi why 'a case'"
    assert command.typed_start(Path("config.yaml")) == "mqi run --config config.yaml"


def test_installed_elsewhere_it_is_its_path(installed):
    assert shlex.split(command.typed("status")) == [str(installed), "status"]


def test_another_program_of_that_name_on_the_path_is_not_meant(installed, monkeypatch, tmp_path):
    other = tmp_path / "mqi"
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(command.typed("status")) == [str(installed), "status"]


def test_a_link_to_it_on_the_path_is_its_name(installed, monkeypatch, tmp_path):
    """As pipx makes one."""
    (tmp_path / "mqi").symlink_to(installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.typed("status") == "mqi status"


def test_without_a_program_it_is_the_module(installed, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(command, "_scripts", lambda: installed.parent / "none")
    assert shlex.split(command.typed("status")) == [sys.executable, "-m", "mqi_communicator", "status"]


def test_no_message_names_a_script_of_the_checkout_by_itself():
    """An installed package has none of them."""
    named = re.compile(r"\./(mqi|deploy\.sh)\b|setup/prepare\.sh")
    found = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if named.search(file.read_text())}
    assert found == {"system/command.py"}
