"""Lists of many cases are read in the order of an index, and counted in an index alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from mqi_communicator.case.identity import IdentityPolicy
from mqi_communicator.case.views import ViewPolicy
from mqi_communicator.store import history, worklist
from mqi_communicator.store.database import Database, open_database
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.worklist import WorklistQuery

POLICY = ViewPolicy(IdentityPolicy(patient_id=True, plan_label=True))
SORTED = "USE TEMP B-TREE FOR ORDER BY"
FILTERS = [
    {}, {"machine": "GTR1"}, {"verdict": "pass"}, {"signer": "phil"}, {"since": 1.0, "until": 2.0},
    {"signer": "phil", "verdict": "fail", "machine": "GTR1", "since": 1.0}, {"passes": False},
]  # fmt: skip
SEARCHES = [
    {}, {"text": "abc"}, {"word": "fail"}, {"machine": "GTR1"}, {"signature": "signed"}, {"since": 1.0},
    {"text": "abc", "signature": "signed", "machine": "GTR1", "word": "pass"},
    {"state": "to_review"}, {"state": "done"},
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Database]:
    made = open_database(tmp_path_factory.mktemp("store") / "store.sqlite")
    yield made
    made.close()


def plan(store: Database, ask: Callable[..., Any], *args: Any, **kwargs: Any) -> list[str]:
    """What SQLite does for the queries of a function."""
    made: list[str] = []

    def explain(_connection, cursor, statement, parameters, *_more):
        rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        made.extend(row[3] for row in rows)

    event.listen(store._engine, "before_cursor_execute", explain)
    try:
        store.read_now(ask, *args, **kwargs)
    finally:
        event.remove(store._engine, "before_cursor_execute", explain)
    assert made
    return made


@pytest.mark.parametrize("filters", FILTERS, ids=lambda given: "+".join(given) or "all")
def test_the_worklist_is_read_in_the_order_of_an_index_and_counted_in_one(store, filters):
    wanted = WorklistQuery(**filters)
    assert SORTED not in plan(store, worklist.worklist, wanted, 25)
    assert all("COVERING INDEX" in line for line in plan(store, worklist.counts, wanted) if "cases" in line)


@pytest.mark.parametrize("filters", SEARCHES, ids=lambda given: "+".join(given) or "all")
def test_a_search_is_read_in_the_order_of_an_index(store, filters):
    found = plan(store, history.search, CaseQuery(**filters, policy=POLICY), Path("/in"), limit=51)
    assert SORTED not in found


def test_few_open_cases_are_found_among_many_that_have_ended(store):
    found = plan(store, history.search, CaseQuery(state="running", policy=POLICY), Path("/in"), limit=51)
    assert "SEARCH own USING INDEX work_items_by_end (beam=? AND status=?)" in found
