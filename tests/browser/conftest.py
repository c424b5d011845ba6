"""A planted store with `mqi web` on it, and a real communicator that serves its own dashboard."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mqi_communicator.demo.sample import write_sample
from mqi_communicator.store.database import open_database
from tests.boards import ROLES, Board, add_user, configure, dashboard
from tests.planted import LIVE, plant


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder with a configuration and a store of some hundred cases."""
    base = tmp_path_factory.mktemp("planted")
    config = configure(base)
    database = open_database(base / "workspace/store.sqlite3")
    keys = plant(database, base / "watch", base / "results", time.time(), ended=300)
    database.close()
    (base / "keys").write_text("\n".join(keys))
    for name in ROLES:
        add_user(config, name)
    return base


@pytest.fixture(scope="module")
def live(planted) -> dict[str, str]:
    return dict(zip(LIVE, (planted / "keys").read_text().split(), strict=True))


@pytest.fixture(scope="module")
def board(planted) -> Iterator[Board]:
    with dashboard(planted / "config.yaml") as made:
        yield made


@pytest.fixture
def site(tmp_path):
    """A configuration, and a watched folder with a case from which the plan is missing."""
    base = tmp_path / "site"
    config = configure(base, intake={"rescan_s": 1, "settle_s": 0.3})
    folder = base / "made"
    write_sample(folder, size="tiny")
    (folder / "RP.dcm").unlink()
    folder.rename(base / "watch/plan is missing")
    for name in ROLES:
        add_user(config, name)
    return base


@pytest.fixture
def communicator(site) -> Iterator[Board]:
    with dashboard(site / "config.yaml", "run") as made:
        yield made
