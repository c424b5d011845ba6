"""`mqi audit --verify` compares the record with the delivered results: every judgement of a case, signed or not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mqi_communicator.case.model import Event, WorkItem
from mqi_communicator.flow.background.checkpoints import verify_chain
from mqi_communicator.flow.transitions.judgements import REJUDGED
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import Database, open_database

KEY = "k3m9t5wq7xab"


def deliver(folder: Path) -> Path:
    """Results that agree with their manifest."""
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    manifest = {"case": KEY, "outputs": [{"name": "verdict.json", "sha256": digest}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def judged_twice(tmp_path) -> tuple[Database, Path, Path]:
    first, second = deliver(tmp_path / "results" / KEY), deliver(tmp_path / "results" / f"{KEY}-judged-2")
    database = open_database(tmp_path / "store.sqlite3")
    database.write_now(cases.add, Case(KEY, tmp_path / "incoming", 1.0, "f", results=str(second)))
    item = WorkItem(KEY, 0, "tidy")
    database.write_now(work_items.add, item, Event(1.0, KEY, 0, "case.seen"))
    database.write_now(work_items.move, item, item, Event(2.0, KEY, 0, REJUDGED))
    return database, first, second


def test_unchanged_results_agree_with_the_chain(judged_twice):
    database, _first, _second = judged_twice
    assert database.read_now(verify_chain, None).whole


@pytest.mark.parametrize("which", [1, 2])
def test_a_change_in_the_results_of_any_judgement_is_named(judged_twice, which):
    database, changed = judged_twice[0], judged_twice[which]
    (changed / "verdict.json").write_text("{ }")
    (wrong,) = database.read_now(verify_chain, None).wrong
    assert f"case {KEY}: " in wrong
    assert f"under {changed.name} were modified: verdict.json" in wrong


def test_a_signature_of_other_results_is_named(judged_twice):
    database, _first, second = judged_twice
    (second / "signature.json").write_text("{}")
    (wrong,) = database.read_now(verify_chain, None).wrong
    assert "the signature" in wrong
