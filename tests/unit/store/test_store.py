"""The store: atomic moves, ownership, append-only events, slots."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import exc, text

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.store import cases, jobs, orders, work_items
from mqi_communicator.store.database import LostOwnership, file_system_of, newest_version, open_database, take_epoch
from mqi_communicator.store.ownership import StoreLock, is_owned

LINE = WorkItem("k1", CASE_ITEM, "admit", due=10.0)


def event(name="x"):
    return Event(1.0, "k1", CASE_ITEM, name)


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "a store.sqlite")
    database.write_now(cases.add, cases.Case("k1", Path("/in/some case"), 1.0, "f1"))
    database.write_now(work_items.add, LINE, event("case.seen"))
    yield database
    database.close()


def test_a_move_and_its_event_are_written_together(store):
    moved = replace(LINE, step="prepare")
    store.write_now(work_items.move, LINE, moved, event("step.done"))
    assert store.read_now(work_items.get, "k1") == moved
    assert [e.event for e in store.read_now(work_items.events_of, "k1")] == ["case.seen", "step.done"]


def test_a_work_item_that_changed_meanwhile_is_not_written_and_no_event_either(store):
    store.write_now(work_items.move, LINE, replace(LINE, status=Status.HELD), None)
    with pytest.raises(work_items.WorkItemChanged):
        store.write_now(work_items.move, LINE, replace(LINE, step="prepare"), event("step.done"))
    assert store.read_now(work_items.get, "k1").status is Status.HELD
    assert len(store.read_now(work_items.events_of, "k1")) == 1


def test_an_order_to_cancel_survives_the_step_in_flight(store):
    store.write_now(work_items.move, LINE, replace(LINE, wanted="cancel"), None)
    store.write_now(work_items.move, LINE, replace(LINE, step="prepare"), None)
    assert store.read_now(work_items.get, "k1").wanted == "cancel"


def test_a_wake_up_during_a_step_is_not_lost(store):
    store.write_now(work_items.wake, "k1", CASE_ITEM, 50.0)
    store.write_now(work_items.move, LINE, replace(LINE, status=Status.WAITING, due=9999.0), None)
    assert store.read_now(work_items.get, "k1").due == 50.0


@pytest.mark.parametrize("statement", ["DELETE FROM events", "UPDATE events SET why = 'nothing happened'"])
def test_events_can_only_be_appended(store, statement):
    with pytest.raises(exc.IntegrityError, match="append-only"):
        store.write_now(lambda connection: connection.execute(text(statement)))


def test_a_previous_owner_of_the_store_cannot_write(store):
    store.epoch = store.write_now(take_epoch, "first")
    other = open_database(Path(store._engine.url.database))
    other.write_now(take_epoch, "second")
    with pytest.raises(LostOwnership):
        store.write_now(work_items.move, LINE, replace(LINE, step="prepare"), event())
    assert other.read_now(work_items.get, "k1") == LINE
    other.close()


OTHER = """
import sys, time
from pathlib import Path
from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import StoreLock
StoreLock(Path(sys.argv[2])).take(open_database(Path(sys.argv[1])))
print("mine", flush=True)
time.sleep(60)
"""


def test_a_second_communicator_names_the_holder_and_death_releases_the_lock(store, tmp_path):
    path = Path(store._engine.url.database)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path), str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(ActionRequired, match=f"process {other.pid} on"):
            StoreLock(tmp_path / "lock").take(store)
        assert is_owned(tmp_path / "lock")
        other.kill()
    assert not is_owned(tmp_path / "lock")
    lock = StoreLock(tmp_path / "lock")
    lock.take(store)
    assert store.epoch == 2
    lock.release()


def job(case: str, beam: int) -> jobs.JobRow:
    return jobs.JobRow(f"{case}-b{beam}-r1", case, beam, 1, "gpu", jobs.WANTED, active=False, claimed=1.0)


@pytest.fixture
def beams(store):
    """Three cases on one host, two beams each that wait for a slot; k1 is the oldest."""
    store.write_now(work_items.move, LINE, replace(LINE, step="compare"), None)
    for number, key in enumerate(("k1", "k2", "k3"), start=1):
        if key != "k1":
            store.write_now(cases.add, cases.Case(key, Path(f"/in/{key}"), number, "f"))
            store.write_now(work_items.add, WorkItem(key, CASE_ITEM, "compare"), Event(1.0, key, CASE_ITEM, "x"))
        store.write_now(cases.change, key, host="gpu", rank=float(number))
        for beam in (1, 2):
            store.write_now(work_items.add, WorkItem(key, beam, "submit"), Event(1.0, key, beam, "x"))
    return store


def claim(store, case: str, beam: int, **capacity):
    return store.write_now(jobs.claim, job(case, beam), jobs.HostCapacity(**capacity))


def test_a_free_slot_wakes_the_first_beams_of_the_queue_alone(beams):
    """An hour's outage showed it: to check 110 beams for each slot costs more than to compute them."""
    for case in ("k1", "k2", "k3"):
        for beam in (1, 2):
            beams.write_now(work_items.wake, case, beam, 9e9)
            claim(beams, case, beam, slots=0)
    beams.write_now(jobs.wake_queue, "gpu", 3, 5.0)
    queue = beams.read_now(jobs.queued, "gpu")
    woken = [token for token in queue if beams.read_now(work_items.get, token[:2], int(token[4])).due == 5.0]
    assert len(queue) == 6
    assert woken == queue[:4], "one more, in case that the first fails"
    beams.write_now(jobs.wake_queue, "gpu", 0, 4.0, but=queue[0])
    assert [beams.read_now(work_items.get, token[:2], int(token[4])).due for token in queue[:2]] == [5.0, 4.0]
    beams.write_now(jobs.wake_queue, "another", 3, 1.0)
    assert all(item.due != 1.0 for item in beams.read_now(work_items.live))


def test_slots_bound_the_jobs_of_a_host_and_a_claim_is_made_once(beams):
    first = claim(beams, "k1", 1, slots=1)
    assert (first.active, first.state) == (True, jobs.CLAIMED)
    assert claim(beams, "k1", 1, slots=1) == first
    assert claim(beams, "k1", 2, slots=1) == jobs.Refusal(in_use=1, ahead=0)
    beams.write_now(jobs.change, "k1-b1-r1", active=False)
    assert claim(beams, "k1", 2, slots=1).active


def test_the_first_by_rank_gets_the_slot(beams):
    claim(beams, "k3", 1, slots=0)
    claim(beams, "k2", 1, slots=0)
    assert claim(beams, "k3", 1, slots=1) == jobs.Refusal(in_use=0, ahead=1)
    beams.write_now(cases.change, "k3", rank=0.0)
    assert claim(beams, "k3", 1, slots=1).active
    assert claim(beams, "k2", 1, slots=2).active


def test_a_beam_that_needs_no_slot_any_more_blocks_no_other(beams):
    claim(beams, "k1", 1, slots=0)
    item = beams.read_now(work_items.get, "k1", 1)
    beams.write_now(work_items.move, item, replace(item, status=Status.HELD), None)
    assert claim(beams, "k2", 1, slots=1).active


@pytest.mark.parametrize("status", [Status.WAITING, Status.FAILED])
def test_a_case_that_is_uploaded_again_blocks_no_other_and_keeps_its_rank(beams, status):
    claim(beams, "k1", 1, slots=0)
    own = beams.read_now(work_items.get, "k1")
    away = replace(own, step="upload", status=status)
    beams.write_now(work_items.move, own, away, None)
    claimed = claim(beams, "k2", 1, slots=1)
    assert isinstance(claimed, jobs.JobRow)
    beams.write_now(work_items.move, away, own, None)
    beams.write_now(jobs.change, claimed.token, active=False)
    assert claim(beams, "k2", 2, slots=1) == jobs.Refusal(in_use=0, ahead=1)
    assert claim(beams, "k1", 1, slots=1).active


def test_each_gpu_is_leased_to_one_job(beams):
    one = claim(beams, "k1", 1, slots=9, gpus=("a", "b"), most=1, least=1)
    two = claim(beams, "k1", 2, slots=9, gpus=("a", "b"), most=1, least=1)
    assert (one.gpus, two.gpus) == ("a", "b")
    assert claim(beams, "k2", 1, slots=9, gpus=("a", "b"), most=1, least=1) == jobs.Refusal(2, 0, gpus=0)
    beams.write_now(jobs.change, one.token, active=False)
    assert claim(beams, "k2", 1, slots=9, gpus=("a", "b"), most=1, least=1).gpus == "a"


def test_gpus_are_shared_among_waiting_jobs(beams):
    claim(beams, "k1", 2, slots=0, gpus=())
    assert claim(beams, "k1", 1, slots=9, gpus=("a", "b", "c", "d"), most=4, least=1).gpus == "a,b"
    assert claim(beams, "k1", 2, slots=9, gpus=("a", "b", "c", "d"), most=4, least=1).gpus == "c,d"


def test_a_job_starts_with_fewer_gpus_than_it_could_use_but_not_with_too_few(beams):
    assert claim(beams, "k1", 1, slots=9, gpus=("a",), most=4, least=2) == jobs.Refusal(0, 0, gpus=1)
    assert claim(beams, "k1", 1, slots=9, gpus=("a", "b", "c"), most=4, least=2).gpus == "a,b,c"


def test_unknown_gpus_count_as_none(beams):
    assert claim(beams, "k1", 1, slots=9, gpus=(), most=1, least=1) == jobs.Refusal(0, 0, gpus=0)


def test_a_case_is_found_by_key_start_and_folder(store):
    store.write_now(cases.add, cases.Case("abcdef", Path("/in/Ünï $(x)\n"), 2.0, "f"))
    assert [c.key for c in store.read_now(cases.find, "abcd")] == ["abcdef"]
    assert [c.key for c in store.read_now(cases.find, "Ünï $(x)\n")] == ["abcdef"]
    assert store.read_now(cases.find, "ab") == []


def test_a_folder_name_that_is_not_utf8_survives(store):
    odd = Path(os.fsdecode(b"/in/\xff\xfe"))
    store.write_now(cases.add, cases.Case("odd", odd, 2.0, "f"))
    assert odd in store.read_now(cases.latest_by_source, [odd])


def test_orders_are_pending_until_they_are_applied(store):
    number = store.write_now(orders.add, at=1.0, case="k1", order="hold", who="ann", why="meeting")
    assert [o.order for o in store.read_now(orders.pending)] == ["hold"]
    store.write_now(orders.answer, number, "held", 2.0)
    assert store.read_now(orders.pending) == []
    assert store.read_now(orders.get, number).answer == "held"


def test_a_damaged_store_is_refused_with_a_message(tmp_path):
    (tmp_path / "bad.sqlite").write_bytes(b"no database at all" * 400)
    with pytest.raises(ActionRequired, match="is damaged"):
        open_database(tmp_path / "bad.sqlite")


def test_the_store_and_its_log_are_private(store):
    path = Path(store._engine.url.database)
    assert {oct(p.stat().st_mode & 0o777) for p in path.parent.glob("a store.sqlite*")} == {"0o600"}


def test_the_file_system_of_a_folder_is_known(tmp_path):
    assert file_system_of(tmp_path)
    assert file_system_of(Path("/proc/self")) == "proc"


def test_the_reason_of_a_queued_work_item_is_set_only_while_it_waits(store):
    store.write_now(work_items.set_reason, LINE, "waiting for its turn")
    assert store.read_now(work_items.get, "k1").reason == "waiting for its turn"
    before = store.read_now(work_items.get, "k1")
    looked = replace(before, status=Status.WAITING, reason="1 of 14 slices is not there", due=300.0)
    store.write_now(work_items.move, before, looked, None)
    for stale in (LINE, before):
        store.write_now(work_items.set_reason, stale, "waiting for another turn")
    assert store.read_now(work_items.get, "k1") == looked


def test_a_new_store_has_the_newest_version(store):
    assert store.read_now(lambda connection: connection.scalar(text("SELECT version_num FROM alembic_version"))) == (
        newest_version()
    )


def test_the_newest_run_of_a_sample_is_the_one_added_last(store):
    """One that began while the clock was fast would be the newest for an hour, and another be due each minute."""
    for key, seen in (("fast", 3700.0), ("later", 200.0)):
        store.write_now(cases.add, cases.Case(key, Path("/samples/one"), seen, key, constancy="one"))
    assert [case.key for case in store.read_now(cases.of_sample, "one", 2)] == ["later", "fast"]
