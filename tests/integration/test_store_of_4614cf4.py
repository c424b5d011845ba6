"""A store, results and a log that commit 4614cf4 made, before events and tables were renamed: this version migrates,
audits, displays and restores them, and no recorded event changes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time

import pytest
from tests.old_site import old_site
from typer.testing import CliRunner

from mqi_communicator.case.event_names import OF_BEAMS, OF_CASES, current_name, recorded_names
from mqi_communicator.case.model import CASE_ITEM, Event, Status
from mqi_communicator.cli.main import app
from mqi_communicator.flow.background.checkpoints import verify_chain
from mqi_communicator.flow.view import view_all
from mqi_communicator.store import audit, chain, notices, work_items
from mqi_communicator.store.backup import back_up, find_damage
from mqi_communicator.store.database import open_database
from mqi_communicator.store.restore import restore
from mqi_communicator.web.timeline import durations, timeline

DELIVERED, FAILED, BLOCKED, CANCELLED = "i33btcgbirfv", "7j52mr5dnws8", "y8yajh9baejr", "uezh77ktbi78"
EVENTS = 62
FORMER = sorted({*OF_CASES, *OF_BEAMS})


def rows(store, query="select * from events order by id"):
    with contextlib.closing(sqlite3.connect(store)) as opened:
        return opened.execute(query).fetchall()


@pytest.fixture
def site(tmp_path):
    """The folder in which the old version ran, moved here."""
    return old_site(tmp_path)


@pytest.fixture
def store(site):
    return site / "workspace/store.sqlite3"


@pytest.fixture
def database(store):
    opened = open_database(store)
    yield opened
    opened.close()


def test_looking_before_the_first_start_changes_nothing_and_says_so(site, store):
    schema = "select type, name, sql from sqlite_master order by name"
    before = rows(store), rows(store, schema)
    ended = CliRunner().invoke(app, ["status", "--config", str(site / "config.yaml")])
    assert ended.exit_code == 1
    assert "version" in ended.stderr
    assert (rows(store), rows(store, schema)) == before


def mqi(site, *words):
    open_database(site / "workspace/store.sqlite3").close()  # the first start of this version migrates the store
    ended = CliRunner().invoke(app, [*words, "--config", str(site / "config.yaml")])
    assert ended.exit_code == 0, ended.output
    return ended.output


def names(store):
    return {name for (name,) in rows(store, "select distinct event from events")}


def test_the_fixture_holds_events_under_former_names(store):
    assert names(store) >= {"line.began", "line.done", "line.cancelled", "step.needs_person"}


def test_migration_changes_no_event(store):
    before = rows(store)
    open_database(store).close()
    assert rows(store) == before
    assert len(before) == EVENTS


def test_the_chain_agrees_with_the_delivered_results_and_the_log(site, database):
    report = database.read_now(verify_chain, site / "log.jsonl")
    assert report.whole, report.wrong
    assert report.notes == ()
    assert (report.audit.events, report.audit.cases) == (EVENTS, 4)
    assert report.audit.checkpoints == 30  # as the old version counted
    assert "the chain is intact" in mqi(site, "audit", "--verify", "--log", str(site / "log.jsonl"))


def test_the_log_counts_under_its_former_names(site, database):
    """`found` of the old log holds the head of the chain: a chain with another head is detected."""
    heads = [
        line for line in map(json.loads, (site / "log.jsonl").read_text().splitlines()) if line["event"] == "found"
    ]
    assert heads
    wrong = [json.dumps(line | {"link": "0" * 64}) for line in heads if line["number"]]
    (site / "other.jsonl").write_text("\n".join(wrong))
    assert not database.read_now(verify_chain, site / "other.jsonl").whole


def test_a_renamed_event_breaks_the_chain(site, store):
    """What must never be done: migrate the names in the store."""
    with contextlib.closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("drop trigger events_no_update")
        opened.execute("update events set event = 'case.done' where event = 'line.done' and beam = 0")
    opened = open_database(store)
    try:
        assert not opened.read_now(verify_chain, None).whole
    finally:
        opened.close()


def test_status_and_why_show_each_case(site):
    shown = {case["case"]: case for case in json.loads(mqi(site, "status", "--json"))["cases"]}
    ends = {key: (case["step"], case["status"]) for key, case in shown.items()}
    assert ends == {
        DELIVERED: ("tidy", "done"),
        FAILED: ("admit", "failed"),
        BLOCKED: ("upload", "cancelled"),
        CANCELLED: ("compare", "cancelled"),
    }
    assert "too noisy to judge" in mqi(site, "why", DELIVERED)
    assert "expected an RT Ion Plan" in mqi(site, "why", FAILED)


@pytest.mark.parametrize("command", ["show", "audit"])
@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (DELIVERED, ("beam.started", "beam.done", "case.done")),
        (BLOCKED, ("step.action_required", "case.cancelled")),
        (CANCELLED, ("beam.cancelled", "case.cancelled")),
    ],
)
def test_events_are_shown_under_their_current_names(site, command, key, shown):
    output = mqi(site, command, key)
    for name in shown:
        assert f" {name} " in output
    for name in FORMER:
        assert name not in output


def test_the_audit_as_data_keeps_the_recorded_names(site):
    """They are needed to recompute the links."""
    before = chain.GENESIS
    every = [event for key in (DELIVERED, FAILED, BLOCKED, CANCELLED) for event in audit_of(site, key)]
    for event in sorted(every, key=lambda one: one["id"]):
        kept = event | {"facts": json.dumps(event["facts"], sort_keys=True)}
        before = chain.link(before, kept)
        assert before == event["link"]


def audit_of(site, key):
    return json.loads(mqi(site, "audit", key, "--json"))


def test_decisions_compare_current_names(database):
    events = database.read_now(work_items.events_of, DELIVERED)
    (case,) = [case for case in database.read_now(view_all, time.time()) if case.case == DELIVERED]
    made = timeline(case, events, time.time())
    assert made.end == max(event.at for event in events)  # all rows have ended
    assert {beam for beam, *_ in durations(made)} == {0, 1, 2}


def test_notifications_find_former_calls_for_an_operator(store):
    with contextlib.closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("update lines set status = 'waiting', needs_person = 1 where \"case\" = ?", (BLOCKED,))
    database = open_database(store)
    try:
        _last, happened = database.read_now(notices.events_after, 0)
    finally:
        database.close()
    found = [one for one in happened if one.event.event == "step.action_required"]
    assert {one.event.case for one in found} == {BLOCKED}
    assert all(one.holds for one in found)


def test_new_events_continue_the_old_chain(database, site):
    before = database.read_now(work_items.get, FAILED)
    again = type(before)(FAILED, CASE_ITEM, "admit", since=time.time())
    event = Event(time.time(), FAILED, CASE_ITEM, "step.action_required", "admit", before.status, again.status)
    database.write_now(work_items.move, before, again, event)
    report = database.read_now(verify_chain, site / "log.jsonl")
    assert report.whole, report.wrong
    assert report.audit.events == EVENTS + 1


@pytest.mark.parametrize("migrated", [False, True])
def test_a_backup_of_it_is_restored(site, store, migrated):
    if migrated:
        open_database(store).close()
    before = rows(store)
    copy = back_up(store, site / "copies", 5, time.time()).path
    assert not find_damage(copy)
    store.unlink()
    restore(copy, store, time.time())
    database = open_database(store)
    try:
        assert database.read_now(verify_chain, site / "log.jsonl").whole
        assert database.read_now(work_items.get, CANCELLED).status is Status.CANCELLED
    finally:
        database.close()
    assert rows(store) == before


def test_a_query_by_a_current_name_finds_former_ones():
    assert recorded_names("case.done") == ("case.done", "line.done")
    assert recorded_names("beam.started", "step.done") == ("beam.started", "step.done", "line.began")
    for beam in (CASE_ITEM, 1):
        for former in FORMER:
            assert former in recorded_names(current_name(former, beam)) or current_name(former, beam) == former


def test_delivered_events_keep_the_recorded_names(site, database):
    """And the links of the store."""
    delivered = [json.loads(line) for line in (site / "results" / DELIVERED / "events.jsonl").read_text().splitlines()]
    kept = {entry.id: entry for entry in database.read_now(audit.history, DELIVERED)}
    assert all((kept[one["id"]].event, kept[one["id"]].link) == (one["event"], one["link"]) for one in delivered)
    assert {one["event"] for one in delivered} & set(FORMER)
