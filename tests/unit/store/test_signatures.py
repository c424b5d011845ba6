"""The state of the signature of a case: who has to sign what, in the store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from mqi_communicator.case.signing import SignatureState
from mqi_communicator.store import cases, history, signatures
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database
from mqi_communicator.store.history import CaseQuery
from mqi_communicator.store.worklist import WorklistQuery, counts, worklist


@pytest.fixture
def store(tmp_path):
    opened = open_database(tmp_path / "store.sqlite3")
    for number, (key, more) in enumerate(
        {
            "old": {"word": "pass"},
            "new": {"word": "fail"},
            "sample": {"word": "pass", "constancy": "weekly"},
            "replaced": {"word": "pass", "superseded_by": "new"},
            "running": {},
        }.items()
    ):
        opened.write_now(cases.add, Case(key, Path("/w") / key, float(number), "f", **more))
    for key in ("old", "new", "sample", "replaced"):
        opened.write_now(signatures.open_case, key, f"/results/{key}")
    yield opened
    opened.close()


def due(store):
    return [case.key for case in store.read_now(worklist, WorklistQuery(), 10)]


def test_delivered_cases_of_patients_wait_for_a_signature(store):
    assert due(store) == ["new", "old"]
    assert store.read_now(counts, WorklistQuery()) == {"pass": 1, "fail": 1}
    assert [case.key for case in store.read_now(worklist, WorklistQuery(), 1)] == ["new"]


def test_a_second_signature_is_due_until_it_is_given(store):
    store.write_now(signatures.record, "old", SignatureState.SECOND_DUE, "ann", 5.0)
    assert due(store) == ["new", "old"]
    store.write_now(signatures.record, "old", SignatureState.SIGNED, "bob", 6.0)
    assert due(store) == ["new"]
    assert (store.read_now(cases.get, "old").signed_by, store.read_now(cases.get, "old").signed_at) == ("bob", 6.0)


def test_another_judgement_opens_the_case_again(store):
    store.write_now(signatures.record, "old", SignatureState.SIGNED, "bob", 6.0)
    store.write_now(signatures.withdraw, "old")
    assert store.read_now(cases.get, "old").signature == SignatureState.NONE
    assert due(store) == ["new"]
    store.write_now(signatures.open_case, "old", "/results/old-judged-2")
    case = store.read_now(cases.get, "old")
    assert (case.results, case.signature, case.signed_by, case.signed_at) == (
        "/results/old-judged-2",
        "unsigned",
        "",
        0,
    )


def test_the_search_knows_the_state(store):
    store.write_now(signatures.record, "new", SignatureState.REJECTED, "bob", 6.0)

    def found(state):
        return [case.key for case in store.read_now(history.search, CaseQuery(signature=state), Path("/w"), limit=9)]

    assert found("rejected") == ["new"]
    assert found("unsigned") == ["replaced", "sample", "old"]
    assert found("second_due") == []


SIGNED = ("case.signed", {"decision": "accept"}, "ann")
REJECTED = ("case.signed", {"decision": "reject"}, "ann")
REJUDGED: tuple[str, dict[str, str], str] = ("order.rejudge", {}, "otto")


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), ("unsigned", "", 0.0)),
        ((SIGNED,), ("signed", "ann", 1.0)),
        ((REJECTED,), ("rejected", "ann", 1.0)),
        ((REJUDGED, SIGNED), ("signed", "ann", 2.0)),
        ((SIGNED, REJUDGED), ("unsigned", "", 0.0)),
        ((SIGNED, REJUDGED, REJECTED), ("rejected", "ann", 3.0)),
    ],
)
def test_the_migration_reads_the_events(tmp_path, events, state):
    path = tmp_path / "old.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    settings = Config()
    settings.set_main_option("script_location", "mqi_communicator.store:migrations")
    settings.set_main_option("path_separator", "os")
    with engine.connect() as connection, connection.begin():
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0009")
        for key, results in (("bert", "/r/bert"), ("open", "")):
            connection.exec_driver_sql(
                "insert into cases (key, source, seen, fingerprint, changed, lineage, content, revision, same_as, "
                "superseded_by, word, why, results) values (?, '/w', 1, 'f', 1, '', '', 1, '', '', 'pass', '', ?)",
                (key, results),
            )
        for number, (name, facts, who) in enumerate(events, start=1):
            for key in ("bert", "other"):
                connection.exec_driver_sql(
                    'insert into events (at, "case", beam, event, step, before, after, who, why, facts) '
                    "values (?, ?, 0, ?, '', '', '', ?, '', ?)",
                    (float(number), key, name, who, json.dumps(facts)),
                )
    engine.dispose()
    open_database(path).close()
    with contextlib.closing(sqlite3.connect(path)) as opened:
        rows = {row[0]: row[1:] for row in opened.execute("select key, signature, signed_by, signed_at from cases")}
    assert rows == {"bert": state, "open": ("", "", 0.0)}
