"""The identity of cases in the store, and how much of it is shown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mqi_communicator.case.identity import CaseIdentity, IdentityPolicy
from mqi_communicator.store import cases
from mqi_communicator.store.database import open_database

KEY = "k1"


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "store.sqlite")
    database.write_now(cases.add, cases.Case(KEY, Path("/in/folder"), 1.0, "f1"))
    yield database
    database.close()


def test_the_identity_is_kept_and_an_older_manifest_changes_nothing(store):
    store.write_now(cases.identify, KEY, CaseIdentity("ID-1", "PROST", "GTR1"))
    store.write_now(cases.identify, KEY, None)
    case = store.read_now(cases.get, KEY)
    assert (case.patient_id, case.plan_label, case.machine) == ("ID-1", "PROST", "GTR1")
    assert "ID-1" not in repr(case)
    assert "PROST" not in repr(case)
    assert "ID-1" not in repr(CaseIdentity("ID-1", "PROST", "GTR1"))


def test_only_admitted_cases_without_identity_are_filled_later(store):
    assert store.read_now(cases.unidentified) == []
    store.write_now(cases.change, KEY, content="c" * 64)
    assert store.read_now(cases.unidentified) == [KEY]
    store.write_now(cases.identify, KEY, CaseIdentity("", "PROST", ""))
    assert store.read_now(cases.unidentified) == []


def test_the_machines_of_an_older_store_are_migrated(tmp_path, store):
    store.close()
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as opened, opened:
        for index in ("patient", "machine", "label", "seen", "signature", "signature_seen", "signer", "parent"):
            opened.execute(f"DROP INDEX cases_by_{index}")
        opened.execute("CREATE INDEX cases_by_seen ON cases (seen, key, source)")
        opened.execute("CREATE INDEX cases_by_signature ON cases (signature, word, seen)")
        for column in ("patient_id", "plan_label", "machine", "kind", "parent", "fraction"):
            opened.execute(f"ALTER TABLE cases DROP COLUMN {column}")
        opened.execute("INSERT INTO figures VALUES ('k1', 'gamma', 'plan', 1, 'GTR2', 'pass', 99, '%')")
        opened.execute("UPDATE alembic_version SET version_num = '0010'")
    again = open_database(path)
    found = again.read_now(cases.get, KEY)
    assert (found.machine, found.kind, found.parent, found.fraction) == ("GTR2", "plan", "", "")
    again.close()


def test_what_is_shown_follows_the_policy():
    nothing, label, both = IdentityPolicy(), IdentityPolicy(plan_label=True), IdentityPolicy(True, True)  # noqa: FBT003
    assert (nothing.patient("ID-1"), nothing.label("PROST", "ID-1")) == ("", "")
    assert label.label("PROST ID-1", "ID-1") == "PROST •••"
    assert (both.patient("ID-1"), both.label("PROST ID-1", "ID-1")) == ("ID-1", "PROST ID-1")
