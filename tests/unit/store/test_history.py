"""Searching cases, the figures of verdicts, and that the migrations create the tables of the schema."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from tests.planted import LIVE, plant

from mqi_communicator.case.figure import Figure
from mqi_communicator.store import cases, figures, history, orders
from mqi_communicator.store.database import Database, open_database
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.schema import metadata

WATCH = Path("/in")
ENDED = 220


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    database = open_database(tmp_path_factory.mktemp("store") / "store.sqlite3")
    plant(database, WATCH, Path("/out"), time.time(), ended=ENDED)
    yield database
    database.close()


def find(
    store: Database, limit: int = 1000, before: history.PageCursor | None = None, **wanted: Any
) -> list[cases.Case]:
    return store.read_now(history.search, CaseQuery(**wanted), WATCH, limit=limit, before=before)


def test_an_empty_query_finds_all_newest_first(store):
    found = find(store)
    assert len(found) == ENDED + len(LIVE)
    assert [case.seen for case in found] == sorted((case.seen for case in found), reverse=True)


@pytest.mark.parametrize("wanted", [{}, {"state": "to_review"}], ids=["all", "to review"])
def test_pages_follow_one_another_without_gap_or_repetition(store, wanted):
    pages, before = [], None
    while page := find(store, limit=10, before=before, **wanted):
        pages += page
        before = (page[-1].seen, page[-1].key)
    assert len(pages) > 10
    assert pages == find(store, **wanted)


def test_a_name_is_matched_literally_below_the_watched_folder_only(store):
    (one,) = find(store, text="qa-000123")
    assert one.source.name == "QA-000123"
    assert find(store, text="in") == []
    assert find(store, text="%") == []
    assert find(store, text="_____") == []
    assert find(store, text=one.key[:6]) == [one]


@pytest.mark.parametrize("word", ["pass", "review", "fail"])
def test_by_verdict(store, word):
    assert {case.word for case in find(store, word=word)} == {word}
    assert len(find(store, word=word)) == len([case for case in find(store) if case.word == word])


def test_by_state_and_machine_and_day(store):
    failed = find(store, state="failed")
    assert [case.source.name for case in failed] == ["QA-000217", "QA-000017"]
    done = [*find(store, state="done"), *find(store, state="to_review")]
    assert len(done) == ENDED - len(failed)
    one, two = (set(find(store, machine=name)) for name in ("GTR1", "GTR2"))
    assert one
    assert not one & two
    assert one | two == {*done, *failed}  # the machine is known from admission on
    middle = find(store)[100].seen
    late, early = find(store, since=middle), find(store, until=middle)
    assert (len(late), len(late) + len(early)) == (101, ENDED + len(LIVE))


def test_recently_completed_cases_and_counts_of_today(store):
    lately = store.read_now(history.recently_ended, "done", 5)
    assert [case.source.name for case in lately] == [f"QA-{ENDED - 1 - n:06d}" for n in range(6) if n != 2]
    counts = store.read_now(history.counts, 0.0)
    assert (counts["done"], counts["failed"], counts["held"]) == (ENDED - 2, 2, 1)
    assert "done" not in store.read_now(history.counts, time.time() + 60)


def test_figures_are_replaced_by_those_of_a_later_judgement(store):
    (key,) = {case.key for case in find(store, text="QA-000001")}
    assert store.read_now(figures.machines) == ["GTR1", "GTR2"]
    store.write_now(figures.save, key, [Figure(key, "gamma", "plan", 9e9, "AAA", "pass", 99.5, "%")])
    store.write_now(figures.save, key, [Figure(key, "gamma", "plan", 9e9, "AAA", "review", 94.5, "%")])
    assert store.read_now(figures.machines) == ["AAA", "GTR1", "GTR2"]
    assert [one.value for one in store.read_now(figures.trend, "AAA", "gamma")] == [94.5]
    trend = store.read_now(figures.trend, "GTR1", "gamma", limit=20)
    assert len(trend) == 20
    assert [one.at for one in trend] == sorted(one.at for one in trend)
    store.write_now(figures.save, key, [])


def test_an_order_is_refused_if_a_newer_one_is_unknown_to_the_sender(store):
    key = find(store)[0].key
    order = {"at": 1.0, "case": key, "order": "hold", "who": "ann", "why": "x"}
    first = store.write_now(orders.add_if_latest, known=0, **order)
    with pytest.raises(orders.ConcurrentOrder, match="ann has ordered hold"):
        store.write_now(orders.add_if_latest, known=0, **order)
    second = store.write_now(orders.add_if_latest, known=first, **order)
    assert [order.id for order in store.read_now(orders.of_case, key)] == [second, first]


def test_the_migrations_create_the_tables_and_indices_of_the_schema(store):
    with store._engine.connect() as connection:
        found = inspect(connection)
        for table in metadata.tables.values():
            assert {column["name"] for column in found.get_columns(table.name)} == {
                column.name for column in table.columns
            }
            made = {index["name"]: index["column_names"] for index in found.get_indexes(table.name)}
            meant = {index.name: [column.name for column in index.columns] for index in table.indexes}
            assert made == meant
