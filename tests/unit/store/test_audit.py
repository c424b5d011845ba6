"""Changed, removed, inserted or rewritten events are detected, and the event is named."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from mqi_communicator.case.model import CASE_ITEM, Event
from mqi_communicator.store import audit, work_items
from mqi_communicator.store.chain import CONTENT, GENESIS, AuditCheckpoint, Entry, link
from mqi_communicator.store.database import open_database

CASES = ("anna", "bert", "anna", "anna", "bert", "anna")


@pytest.fixture
def path(tmp_path):
    """Six events of two cases."""
    store = tmp_path / "store.sqlite3"
    database = open_database(store)
    for number, case in enumerate(CASES, start=1):
        event = Event(number + 0.1, case, CASE_ITEM, "step.done", "admit", "ready", "done", why="Ünï", facts={"n": 1})
        database.write_now(audit.append, event)
    database.close()
    return store


def entries(path: Path) -> list[Entry]:
    database = open_database(path)
    found = [entry for case in ("anna", "bert") for entry in database.read_now(audit.history, case)]
    database.close()
    return sorted(found, key=lambda entry: entry.id)


def tamper(path: Path, *statements: str) -> None:
    """With the rights of the file's owner, who can drop triggers."""
    with contextlib.closing(sqlite3.connect(path)) as store:
        for verb in ("update", "delete"):
            store.execute(f"DROP TRIGGER IF EXISTS events_no_{verb}")
        for statement in statements:
            store.execute(statement)
        store.commit()


def relink(path: Path) -> None:
    """Renumber and relink everything, as a careful forger would."""
    before, number, seqs = GENESIS, 0, dict[str, int]()
    with contextlib.closing(sqlite3.connect(path)) as store:
        store.row_factory = sqlite3.Row
        for row in store.execute("select * from events order by id").fetchall():
            number += 1
            seqs[row["case"]] = seqs.get(row["case"], 0) + 1
            values = {name: row[name] for name in CONTENT} | {"id": number, "seq": seqs[row["case"]]}
            before = link(before, values)
            changed = (number, values["seq"], before, row["id"])
            store.execute("update events set id = ?, seq = ?, link = ? where id = ?", changed)
        store.commit()


def found(path: Path, *checkpoints: AuditCheckpoint) -> list[tuple[int, str, int]]:
    database = open_database(path)
    walked = database.read_now(audit.verify, checkpoints)
    database.close()
    return [(one.id, one.case, one.seq) for one in walked.findings]


def delivered(path: Path) -> list[AuditCheckpoint]:
    """The checkpoints of a delivered case."""
    return [AuditCheckpoint(one.id, one.link, "what was delivered", one.case, one.seq) for one in entries(path)]


def test_an_unbroken_chain_agrees_with_the_checkpoints(path):
    database = open_database(path)
    walked = database.read_now(audit.verify, delivered(path))
    assert (walked.events, walked.cases, walked.checkpoints, walked.findings) == (6, 2, 6, ())
    assert walked.head == entries(path)[-1].link == database.read_now(audit.head).link
    assert [(entry.id, entry.seq) for entry in database.read_now(audit.history, "bert")] == [(2, 1), (5, 2)]
    assert database.read_now(work_items.events_of, "bert")[0].facts == {"n": 1}
    database.close()


def test_an_empty_store_has_no_breaks(tmp_path):
    assert found(open_and_close(tmp_path / "empty.sqlite3")) == []


def open_and_close(path: Path) -> Path:
    open_database(path).close()
    return path


@pytest.mark.parametrize("column", [name for name in CONTENT if name not in ("id", "seq")])
def test_a_changed_row_is_named(path, column):
    tamper(path, f"update events set \"{column}\" = '7' where id = 3")  # noqa: S608 - a name of ours
    assert [number for number, _case, _seq in found(path)][:1] == [3]


def test_a_removed_row_is_named_if_its_case_continues(path):
    tamper(path, "delete from events where id = 3")
    assert found(path) == [(3, "anna", 2)]


def test_a_removed_row_of_another_case_is_reported_with_its_case_from_a_checkpoint(path):
    checkpoints = delivered(path)
    tamper(path, "delete from events where id = 2")
    assert found(path) == [(2, "", 0), (5, "bert", 2)]
    assert (2, "bert", 1) in found(path, *checkpoints)


def test_a_removed_end_is_detected_by_checkpoints_only(path):
    checkpoints = delivered(path)
    tamper(path, "delete from events where id > 4")
    assert found(path) == []
    assert found(path, *checkpoints) == [(5, "bert", 2), (6, "anna", 4)]


def test_an_inserted_row_is_named(path):
    copied = "insert into events select 7, at, 'bert', beam, event, step, before, after, who, why, facts, 3, link"
    tamper(path, f"{copied} from events where id = 4")
    assert found(path) == [(7, "bert", 3)]


@pytest.mark.parametrize("verb", ["update events set who = 'nobody'", "delete from events"])
def test_a_rewritten_chain_is_consistent_and_detected_by_checkpoints(path, verb):
    checkpoints = delivered(path)
    tamper(path, f"{verb} where id = 4")
    relink(path)
    assert found(path) == []
    assert found(path, *checkpoints)[0][0] == 4
    assert found(path, checkpoints[-1]), "one link of later is enough"


def test_older_events_are_numbered_and_linked_by_the_migration(tmp_path):
    path = tmp_path / "old.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    settings = Config()
    settings.set_main_option("script_location", "mqi_communicator.store:migrations")
    settings.set_main_option("path_separator", "os")
    with engine.connect() as connection, connection.begin():
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0002")
        for number, case in enumerate(CASES, start=10):
            connection.exec_driver_sql(
                "insert into events values (?, 1.5, ?, 0, 'x', 's', 'b', 'a', 'w', 'y', '{}')", (number, case)
            )
    engine.dispose()
    database = open_database(path)
    database.write_now(audit.append, Event(2.0, "bert", CASE_ITEM, "x"))
    database.close()
    assert found(path) == []
    assert [(entry.id, entry.seq) for entry in entries(path)] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 3),
        (5, 2),
        (6, 4),
        (7, 3),
    ]
    with contextlib.closing(sqlite3.connect(path)) as store, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store.execute("update events set who = 'x'")
