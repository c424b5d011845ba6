"""One dashboard as a process, over a planted store, for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.boards import ROLES, Board, add_user, client_of, configure, dashboard
from tests.integration.dashboard import ENDED
from tests.planted import LIVE, plant

from mqi_communicator.store.database import open_database


@pytest.fixture(scope="package")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="package")
def live(base) -> dict[str, str]:
    """The keys of the open cases, by their state."""
    configure(base)
    database = open_database(base / "workspace/store.sqlite3")
    keys = plant(database, base / "watch", base / "results", time.time(), ended=ENDED)
    database.close()
    return dict(zip(LIVE, keys, strict=True))


@pytest.fixture(scope="package")
def board(base, live) -> Iterator[Board]:
    for name in ROLES:
        add_user(base / "config.yaml", name)
    with dashboard(base / "config.yaml") as made:
        yield made


otto = client_of("otto", "package")
vera = client_of("vera", "package")
