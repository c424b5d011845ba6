"""An upgrade keeps the store of the older version as a backup, and there is a way back; a newer store is refused."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.old_site import old_site
from typer.testing import CliRunner

from mqi_communicator.app import open_store
from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.store.database import newest_version, open_database
from mqi_communicator.store.ownership import StoreLock


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose store an older version wrote."""
    return old_site(tmp_path)


def content(store: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(store)) as opened:
        return list(opened.iterdump())


def start(site: Path) -> None:
    """What a start does with the store."""
    config = load(site / "config.yaml")
    lock = StoreLock(config.paths.lock)
    open_store(config, lock).close()
    lock.release()


def test_forth_and_back(site):
    store, aside = site / "workspace/store.sqlite3", site / "as the old version left it"
    shutil.copy(store, aside)
    start(site)
    assert content(store) != content(aside)
    (kept,) = (site / "workspace/backups/before-upgrade").iterdir()
    assert content(kept) == content(aside)
    ended = CliRunner().invoke(app, ["restore", str(kept), "--config", str(site / "config.yaml")])
    assert ended.exit_code == 0, ended.output
    assert content(store) == content(aside)
    start(site)  # and forth again
    assert len(list((site / "workspace/backups/before-upgrade").iterdir())) == 2


def test_a_start_without_an_upgrade_makes_no_such_backup(site):
    start(site)
    start(site)
    assert len(list((site / "workspace/backups/before-upgrade").iterdir())) == 1


def test_the_store_of_a_newer_version_is_refused_and_left_alone(site):
    store = site / "workspace/store.sqlite3"
    open_database(store).close()
    with contextlib.closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("update alembic_version set version_num = '9999'")
    before = content(store)
    with pytest.raises(ActionRequired, match="newer version of the communicator") as refused:
        open_database(store)
    assert "restore" in refused.value.advice
    assert content(store) == before
    assert newest_version() < "9999"
