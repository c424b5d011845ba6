"""An order that does nothing exits with 1 and says why, whether a communicator runs or not."""

from __future__ import annotations

import json
import threading
import time

import pytest
from tests.boards import configure
from tests.planted import LIVE, plant
from typer.testing import CliRunner

from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.store import history, orders
from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import StoreLock


@pytest.fixture
def site(tmp_path):
    config = configure(tmp_path)
    paths = load(config).paths
    database = open_database(paths.store)
    live = dict(zip(LIVE, plant(database, paths.watch, paths.results, time.time(), ended=30), strict=True))
    (done,) = database.read_now(history.recently_ended, "done", 1)
    (failed,) = database.read_now(history.recently_ended, "failed", 1)
    yield config, database, {**live, "done": done.key, "failed": failed.key}
    database.close()


@pytest.fixture
def communicator(site):
    """Applies orders as the driver does, and holds the lock."""
    config, _database, _keys = site
    paths = load(config).paths
    lock, stop = StoreLock(paths.lock), threading.Event()
    lock.hold()
    own = open_database(paths.store)

    def work() -> None:
        while not stop.wait(0.02):
            for order in own.read_now(orders.pending):
                spool = Spool(paths.workspace / "spool" / order.case)
                own.write_now(apply_order, order, spool, time.time(), 3600.0)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    lock.release()
    own.close()


def order(config, *words: str):
    return CliRunner().invoke(app, [*words, "--config", str(config)])


NOTHING = [
    (("retry", "computing"), "nothing to retry: the case is waiting"),
    (("hold", "held"), "nothing to hold: the case is held already"),
    (("hold", "done"), "nothing to hold: the case is done already"),
    (("release", "computing"), "nothing to release: the case is not held"),
    (("cancel", "done"), "nothing to cancel: the case is done already"),
    (("priority", "done", "urgent"), "no priority to set: the case is done already"),
    (("priority", "failed", "urgent"), "no priority to set: the case is failed already"),
    (("priority", "computing", "routine"), "no priority to set: it is routine already"),
    (("rejudge", "computing"), "only a case that is done can be judged again"),
    (("lost", "computing", "9"), "the case has no such beam"),
]


@pytest.mark.parametrize(("words", "message"), NOTHING)
def test_an_order_without_effect_is_refused_while_no_communicator_runs(site, words, message):
    config, database, keys = site
    name, case, *more = words
    ended = order(config, name, keys[case], *more)
    assert ended.exit_code == 1
    assert f"mqi: {keys[case]}: {message}" in ended.stderr
    assert database.read_now(orders.of_case, keys[case]) == []
    assert json.loads(order(config, name, keys[case], *more, "--json").stdout)["effect"] is False


@pytest.mark.usefixtures("communicator")
def test_an_order_without_effect_is_refused_while_one_runs(site):
    config, _database, keys = site
    for (name, case, *more), message in NOTHING:
        ended = order(config, name, keys[case], *more)
        assert (ended.exit_code, message in ended.stderr) == (1, True), (name, case, ended.output)


@pytest.mark.usefixtures("communicator")
def test_an_order_with_an_effect_exits_with_0(site):
    config, _database, keys = site
    for words in (
        ("lost", "computing", "1"),
        ("hold", "computing"),
        ("release", "computing"),
        ("priority", "queued", "urgent"),
        ("cancel", "queued"),
        ("retry", "failed"),
        ("rejudge", "done"),
    ):
        name, case, *more = words
        ended = order(config, name, keys[case], *more)
        assert ended.exit_code == 0, (words, ended.output)


def test_an_order_after_another_that_waits_is_recorded(site):
    """Held and released before the communicator runs: the second order suits the state after the first."""
    config, database, keys = site
    assert order(config, "hold", keys["computing"]).exit_code == 0
    assert order(config, "release", keys["computing"]).exit_code == 0
    assert [one.order for one in database.read_now(orders.pending)] == ["hold", "release"]
