"""The store is removed while the communicator runs: it stops within a turn with a message, and the content is saved."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.idle_site import write_idle_config
from tests.processes import kill
from tests.seldom import seldom

pytestmark = pytest.mark.real


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_idle_config(tmp_path)


def remove(store: Path) -> None:
    for path in store.parent.glob("store.sqlite3*"):
        path.unlink()


def replace(store: Path) -> None:
    """By another whole store: its own copy, as a careless restore would."""
    aside = store.with_name("aside")
    shutil.copy(store, aside)
    aside.rename(store)


@pytest.mark.parametrize("befall", seldom([remove, replace], often=[remove]))
def test_it_stops_with_a_message_and_saves_the_content(config: Path, tmp_path: Path, befall):
    store = tmp_path / "workspace" / "store.sqlite3"
    words = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(config))
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any('"backup.made"' in line for line in process.stdout)
        (tmp_path / "watch" / "case").mkdir()  # what happens after the last backup
        assert any('"case.seen"' in line for line in process.stdout)
        befall(store)
        out, output = process.communicate(timeout=60)
    finally:
        kill([process.pid])
    assert process.returncode == 1
    assert f"the store {store} was removed or replaced while the communicator ran" in output
    reported = [json.loads(line) for line in out.splitlines()]
    assert [line["level"] for line in reported if line["event"] == "database.lost"] == ["error"]
    (saved,) = [line["file"] for line in reported if line["event"] == "backup.made"]
    assert str(tmp_path / "workspace" / "backups" / saved) in output
    with closing(sqlite3.connect(tmp_path / "workspace" / "backups" / saved)) as copy:
        assert copy.execute("select count(*) from cases").fetchone() == (1,)
