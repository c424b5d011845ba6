"""A killed communicator leaves the folder of its fork server's socket: the next one removes it, and no other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tests.idle_site import write_idle_config

from mqi_communicator.flow.workers.socket_folder import record_socket_folder

pytestmark = pytest.mark.real


@pytest.fixture
def short():
    """A temporary folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="mqi-tmp-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def lives():
    """Ends what a failed test has started."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.kill()
        one.wait()


def folders(temporary: Path) -> list[str]:
    return sorted(path.name for path in temporary.glob("pymp-*"))


def life(config: Path, temporary: Path, lives: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """A communicator whose fork server is running."""
    argv = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(config))
    before = set(folders(temporary))
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}  # it compiles
    environment["TMPDIR"] = str(temporary)
    started = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=environment, text=True)
    lives.append(started)
    end = time.monotonic() + 60
    while not any((temporary / name).glob("listener-*") for name in set(folders(temporary)) - before):
        assert time.monotonic() < end
        assert started.poll() is None
        time.sleep(0.1)
    return started


@pytest.mark.long
def test_what_a_killed_communicator_left_is_removed_by_the_next(short, tmp_path, lives):
    config = write_idle_config(tmp_path)
    foreign = short / "pymp-foreign"
    foreign.mkdir()
    first = life(config, short, lives)
    first.kill()
    first.wait()
    left = folders(short)
    assert len(left) == 2, "multiprocessing has no chance to remove it"
    second = life(config, short, lives)
    assert set(left) & set(folders(short)) == {"pymp-foreign"}
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    assert folders(short) == ["pymp-foreign"]


def test_the_folder_in_use_is_kept(tmp_path):
    """A second communicator of this process: it shares the fork server."""
    for _ in range(2):
        record_socket_folder(tmp_path / "note")
        assert Path((tmp_path / "note").read_text()).is_dir()


def folder_with_socket(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "listener-x"))
    return folder


@pytest.mark.parametrize("text", ["", "/nowhere/pymp-x", "pymp-relative", "a\0b"])
def test_a_note_that_names_nothing_is_replaced(tmp_path, text):
    (tmp_path / "note").write_text(text)
    record_socket_folder(tmp_path / "note")
    assert Path((tmp_path / "note").read_text()).name.startswith("pymp-")


def test_only_sockets_in_a_folder_of_multiprocessing_are_removed(short):
    note, other, linked = short / "note", folder_with_socket(short, "other"), folder_with_socket(short, "pymp-linked")
    (short / "pymp-link").symlink_to(linked)
    full = folder_with_socket(short, "pymp-full")
    (full / "file").touch()
    for folder in (other, short / "pymp-link", full):
        note.write_text(str(folder))
        record_socket_folder(note)
    assert (other / "listener-x").exists()
    assert (linked / "listener-x").exists()
    assert [path.name for path in full.iterdir()] == ["file"]
    note.write_text(str(linked))
    record_socket_folder(note)
    assert not linked.exists()
