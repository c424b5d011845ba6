"""What is flushed to disk, and in which order: a power cut must not find a name whose file is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mqi_communicator.flow.spool.layout import Spool, write_durably
from mqi_communicator.system.durable import make_folder, sync_tree


@pytest.fixture
def flushed(monkeypatch, tmp_path):
    """The paths that were flushed, in order, relative to the test's folder."""
    paths: list[str] = []

    def fsync(number: int) -> None:
        paths.append(os.path.relpath(os.readlink(f"/proc/self/fd/{number}"), tmp_path))  # noqa: PTH115

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_a_new_folder_has_a_name_in_each_folder_above_it(tmp_path, flushed):
    make_folder(tmp_path / "a" / "b")
    assert flushed == [".", "a"]
    make_folder(tmp_path / "a" / "b")
    assert flushed == [".", "a"]
    assert oct((tmp_path / "a").stat().st_mode & 0o777) == "0o700"


def test_files_come_before_their_folder_and_the_name_of_the_whole_comes_last(tmp_path, flushed):
    (tmp_path / "tree" / "below").mkdir(parents=True)
    for name in ("one", "below/two"):
        (tmp_path / "tree" / name).touch()
    sync_tree(tmp_path / "tree")
    assert flushed == ["tree/below/two", "tree/below", "tree/one", "tree", "."]


def test_the_first_record_of_a_case_makes_its_spool_durable(tmp_path, flushed):
    (tmp_path / "spool").mkdir()
    write_durably(Spool(tmp_path / "spool" / "key").origin, "x")
    assert flushed == ["spool", "spool/key/origin.tmp", "spool/key"]


def test_a_folder_that_cannot_be_read_is_no_obstacle(tmp_path, monkeypatch):
    def refused(_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fsync", refused)
    make_folder(tmp_path / "a")
    assert Path(tmp_path / "a").is_dir()
