"""`mqi once` verifies the indexes of the store before the first case: it may end before a check beside them does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.idle_site import write_idle_config
from tests.unit.store.test_backup import spoil_index

from mqi_communicator.config import load
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real


@pytest.mark.long
def test_once_does_not_work_with_a_wrong_index(tmp_path):
    config = write_idle_config(tmp_path)
    store = load(config).paths.store
    store.parent.mkdir(parents=True)
    open_database(store).close()
    spoil_index(store)
    command = (sys.executable, "-m", "mqi_communicator", "once", "--config", str(config))
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1, done.stderr
        assert f"mqi: the store {store} is damaged" in done.stderr
        assert "by_a" in done.stderr
