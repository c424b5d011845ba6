"""`mqi status`: what is open and what ended last, filters, JSON as a stream, and a list that follows the changes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time

import pytest
from sqlalchemy import event
from tests.boards import MQI, configure
from tests.planted import LIVE, plant
from tests.processes import heed_ctrl_c
from typer.testing import CliRunner

from mqi_communicator.case.states import STATES
from mqi_communicator.case.views import ViewPolicy
from mqi_communicator.cli import selection
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.flow.view import view_all
from mqi_communicator.store import history, work_items
from mqi_communicator.store.database import open_database
from mqi_communicator.store.existing import open_existing
from mqi_communicator.store.history import CaseQuery

ENDED = 60  # one of them has failed


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    config = configure(tmp_path_factory.mktemp("site"))
    paths = load(config).paths
    database = open_database(paths.store)
    live = plant(database, paths.watch, paths.results, time.time(), ended=ENDED)
    yield config, database, live
    database.close()


def status(config, *words: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, ["status", *words, "--config", str(config)], env={"COLUMNS": "240"})
    assert ended.exit_code == code, ended.output
    return ended.output


def listed(config, *words: str) -> list[dict[str, object]]:
    cases: list[dict[str, object]] = json.loads(status(config, *words, "--json"))["cases"]
    return cases


def keys(text: str) -> list[str]:
    return re.findall(r"^([a-z2-9]{12})  ", text, re.MULTILINE)


def test_the_list_shows_what_is_open_by_group_and_the_last_twenty_that_ended(site):
    config, database, live = site
    text = status(config)
    every = database.read_now(view_all, time.time())
    review = [case.case for case in every if case.state == "to_review"]
    assert text.splitlines()[0].startswith(
        f"{len(review)} to review, 2 action required, 2 running, 3 waiting, 1 held; "
    )
    heads = re.findall(r"^(To review|Action required|Running|Waiting|Held|Recently completed) \(", text, re.MULTILINE)
    assert heads == ["To review", "Action required", "Running", "Waiting", "Held", "Recently completed"]
    ended = [case.case for case in every if case.state == "done"]
    failed = [case.case for case in every if case.state == "failed"]
    listed_open, first = len(LIVE) + 1, len(review)
    assert sorted(keys(text)[:first]) == sorted(review)
    assert sorted(keys(text)[first : first + listed_open]) == sorted([*live, *failed])
    assert keys(text)[first + listed_open :] == ended[:20]
    assert "computing 58 %" in text
    assert all(words in text for words in ("host key mismatch", "have its", "administrator"))
    assert [case["case"] for case in listed(config)] == keys(text)


def test_the_number_of_ended_cases_is_chosen(site):
    config, database, live = site
    review = sum(case.state == "to_review" for case in database.read_now(view_all, time.time()))
    assert len(keys(status(config, "--limit", "3"))) == review + len(live) + 1 + 3
    assert len(keys(status(config, "--limit", "0"))) == review + len(live) + 1
    assert len(keys(status(config, "--all"))) == ENDED + len(live)
    assert len(keys(status(config, "--all", "--limit", "7"))) == 7


def test_a_search_for_a_state_finds_the_cases_that_are_shown_in_it(site):
    config, database, _live = site
    paths, now = load(config).paths, time.time()
    known: set[str] = set()
    for policy in (ViewPolicy(), ViewPolicy(passes=False)):
        every = database.read_now(view_all, now, policy=policy)
        for state in STATES:
            wanted = CaseQuery(state=state, policy=policy)
            found = [case.key for case in database.read_now(history.search, wanted, paths.watch, limit=999)]
            assert found == [case.case for case in every if case.state == state], (state, policy)
        known |= {case.state for case in every}
    assert known == set(STATES) - {"cancelled"}


def test_filters_list_the_newest_first(site):
    config, database, _live = site
    every = database.read_now(view_all, time.time())
    reviewed = [case.case for case in every if case.verdict == "pass"]
    assert [case["case"] for case in listed(config, "--verdict", "pass")] == reviewed
    assert "No case matches." in status(config, "--verdict", "pass", "--since", "1m")
    recent = [case.case for case in every if case.seen >= time.time() - 7200]
    assert keys(status(config, "--since", "2h")) == recent


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since", "yesterday"), "a day (2026-01-31)"),
        (("--verdict", "good"), "not_judged"),
        (("--watch", "--json"), "either --watch or --json"),
        (("--limit", "-1"), "greater than or equal to 0"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(site, words, message):
    config, _database, _live = site
    assert message in re.sub(r"\s+", " ", status(config, *words, code=2))


def test_ages_and_days():
    now = time.mktime((2026, 1, 31, 12, 0, 0, 0, 0, -1))
    assert selection.since("90m", now) == now - 5400
    assert selection.since("2w", now) == now - 14 * 86400
    assert selection.since("2026-01-31", now) == now - 12 * 3600
    assert selection.since("2026-01-31T11:30", now) == now - 1800


def test_every_batch_is_a_read_of_its_own_and_none_is_held_while_it_is_shown(site, monkeypatch):
    config, database, _live = site
    monkeypatch.setattr(selection, "_BATCH", 10)
    store = load(config).paths.store
    other = open_database(store)
    sizes = []
    for batch in selection.matching(database, CaseQuery(), load(config).paths.watch, None):
        other.write_now(work_items.wake_all, 0.0)
        with other._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0
        sizes.append(len(batch))
    other.close()
    assert sizes == [10] * 6 + [7]


def test_the_work_for_the_list_does_not_depend_on_how_many_cases_ended(tmp_path):
    """The steps of SQLite's virtual machine, in hundreds."""
    work = []
    for ended in (300, 1500):
        config = configure(tmp_path / str(ended))
        paths = load(config).paths
        made = open_database(paths.store)
        plant(made, paths.watch, paths.results, time.time(), ended=ended)
        made.close()
        database = open_existing(paths.store, read_only=True)
        steps = [0]

        def count(connection, _entry, steps=steps):
            def one() -> None:
                steps[0] += 1

            connection.set_progress_handler(one, 100)

        event.listen(database._engine, "connect", count)
        database._engine.dispose()
        database.read_now(selection.current, time.time(), 20)
        database.close()
        work.append(steps[0])
    assert work[0] > 5
    assert work[1] < 1.5 * work[0], work


def test_a_change_appears_in_the_list_that_is_watched_and_ctrl_c_ends_it(site):
    config, database, live = site
    held = database.read_now(work_items.get, live[5])
    master, slave = pty.openpty()
    argv = [*MQI, "status", "--watch", "--config", str(config)]
    size = {**os.environ, "COLUMNS": "160", "LINES": "60"}
    process = subprocess.Popen(argv, stdout=slave, stderr=slave, env=size, preexec_fn=heed_ctrl_c)  # noqa: PLW1509
    os.close(slave)
    try:
        read_until(master, "held by order")
        database.write_now(work_items.set_reason, held, "held for the morning meeting")
        database.write_now(work_items.move, held, work_items.replace(held, status="ready"), None)
        read_until(master, "prepare, running")
        process.send_signal(signal.SIGINT)
        read_until(master, "\x1b[?1049l")  # the screen is as before
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(master)
        database.write_now(work_items.move, work_items.replace(held, status="ready"), held, None)


def read_until(terminal: int, words: str, seconds: float = 120) -> None:
    text, end = "", time.monotonic() + seconds
    while words not in text:
        ready, _, _ = select.select([terminal], [], [], end - time.monotonic())
        assert ready, text[-4000:]
        text += os.read(terminal, 65536).decode(errors="replace")


def test_a_reader_that_ends_early_is_no_error(site):
    config, _database, _live = site
    command = f"{shlex.join([*MQI, 'status', '--all', '--config', str(config)])} | head -1"
    ended = subprocess.run(("bash", "-c", command), capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
