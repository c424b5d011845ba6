"""Whether the same content is computed once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqi_communicator.case.model import CASE_ITEM, Event, Manifest, Status, WorkItem
from mqi_communicator.flow.steps.admit import register
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

NOW = 1_800_000_000.0
CONTENT = Manifest(content="c1", lineage="l1", beams=(), files=())


@pytest.mark.parametrize(
    ("step", "status", "again"),
    [
        ("tidy", Status.DONE, False),
        ("tidy", Status.FAILED, False),  # delivered, and its host could not be tidied: a fault round computed it again
        ("compare", Status.WAITING, False),
        ("compare", Status.FAILED, True),
        ("compare", Status.CANCELLED, True),
    ],
)
def test_the_same_content_is_computed_again_only_where_it_has_no_verdict_and_gets_none(tmp_path, step, status, again):
    database = open_database(tmp_path / "store.sqlite3")
    for key, item in (
        ("old", WorkItem("old", CASE_ITEM, step, status=status)),
        ("new", WorkItem("new", CASE_ITEM, "admit")),
    ):
        database.write_now(cases.add, cases.Case(key, Path("/watch/case 1"), NOW, key))
        database.write_now(work_items.add, item, Event(NOW, key, CASE_ITEM, "case.seen"))
    database.write_now(cases.change, "old", content="c1", lineage="l1")
    done = database.write_now(register, "new", CONTENT, NOW)
    assert (done.last, done.facts.get("same_as")) == ((False, None) if again else (True, "old"))
    database.close()
