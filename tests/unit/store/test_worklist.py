"""The worklist: what is listed, in which order, and the filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqi_communicator.case.identity import CaseIdentity, IdentityPolicy
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.case.signing import SignatureState
from mqi_communicator.case.views import ViewPolicy
from mqi_communicator.store import cases, history, signatures, work_items
from mqi_communicator.store.database import open_database
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.worklist import WorklistQuery, counts, worklist

NOTHING, BOTH = IdentityPolicy(), IdentityPolicy(patient_id=True, plan_label=True)


@pytest.fixture
def store(tmp_path):
    """Cases of all verdicts, delivered in the order of their keys; `fail2` is urgent."""
    database = open_database(tmp_path / "store.sqlite")
    words = {"pass1": "pass", "fail1": "fail", "review1": "review", "fail2": "fail", "judge1": "not_judged"}
    for number, (key, word) in enumerate(words.items(), 1):
        rank = -1000.0 if key == "fail2" else float(number)
        case = cases.Case(key, Path(f"/in/folder {key}"), float(number), "f", word=word, rank=rank)
        database.write_now(cases.add, case)
        item = WorkItem(key, CASE_ITEM, "tidy")
        database.write_now(work_items.add, item, Event(1.0, key, CASE_ITEM, "case.seen"))
        database.write_now(signatures.open_case, key, f"/results/{key}")
        label = "PROST" if number % 2 else "BRAIN"
        database.write_now(cases.identify, key, CaseIdentity(f"ID-{number}", label, f"GTR{number % 2}"))
    yield database
    database.close()


def listed(store, **filters):
    wanted = WorklistQuery(**filters)
    found = [case.key for case in store.read_now(worklist, wanted, 100)]
    assert sum(store.read_now(counts, wanted).values()) == len(found)
    return found


def test_the_most_urgent_verdict_comes_first_and_within_it_the_lowest_rank(store):
    assert listed(store) == ["fail2", "fail1", "review1", "judge1", "pass1"]
    assert list(store.read_now(counts, WorklistQuery())) == ["fail", "review", "not_judged", "pass"]
    assert [case.key for case in store.read_now(worklist, WorklistQuery(), 2)] == ["fail2", "fail1"]


def test_a_signed_case_leaves_the_list_and_a_new_judgement_brings_it_back(store):
    store.write_now(signatures.record, "fail1", SignatureState.REJECTED, "ann", 9.0)
    store.write_now(signatures.record, "pass1", SignatureState.SECOND_DUE, "ann", 10.0)
    assert listed(store) == ["fail2", "review1", "judge1", "pass1"]
    assert listed(store, signer="ann") == ["pass1", "fail1"]
    assert listed(store, signer="ann", verdict="fail") == ["fail1"]
    store.write_now(signatures.open_case, "fail1", "/results/fail1-judged-2")
    assert listed(store) == ["fail2", "fail1", "review1", "judge1", "pass1"]


def test_old_revisions_and_constancy_samples_that_passed_are_not_listed(store):
    store.write_now(cases.change, "fail1", superseded_by="fail2")
    store.write_now(cases.change, "pass1", constancy="monthly")
    store.write_now(cases.change, "review1", constancy="monthly")
    assert listed(store) == ["fail2", "review1", "judge1"]


def test_each_filter_narrows_the_list(store):
    assert listed(store, verdict="fail") == ["fail2", "fail1"]
    assert listed(store, machine="GTR0") == ["fail2", "fail1"]
    assert listed(store, plan="pass1") == ["review1", "judge1", "pass1"]
    assert listed(store, plan="nobody") == []
    assert listed(store, since=3.0, until=5.0) == ["fail2", "review1"]
    assert listed(store, passes=False) == ["fail2", "fail1", "review1", "judge1"]


def test_a_patient_is_found_only_where_the_site_shows_the_identity(store):
    def found(text, shown):
        wanted = CaseQuery(text=text, policy=ViewPolicy(shown))
        return [case.key for case in store.read_now(history.search, wanted, Path("/in"), limit=9)]

    assert found("ID-3", BOTH) == ["review1"]
    assert found("BRAIN", BOTH) == ["fail2", "fail1"]
    assert found("ID-3", NOTHING) == found("BRAIN", NOTHING) == []
    assert found("folder fail", NOTHING) == ["fail2", "fail1"]
