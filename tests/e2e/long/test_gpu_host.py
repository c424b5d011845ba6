"""A host with GPUs, the whole way: each computes one beam at a time, and every waiting beam says what it waits for."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fleet.checker import runs_of
from tests.fleet.site import Fleet, reach, until
from tests.standin.gpus import FakeGpus

from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.flow.view import view_named
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real


@pytest.fixture
def fake(tmp_path: Path) -> FakeGpus:
    return FakeGpus(tmp_path / "gpus", 2, 24_000, jobs_mib=2000)


@pytest.fixture
def host(tmp_path: Path, fake: FakeGpus) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path / "host", environment=fake.environment) as private:
        yield private


def gpu_host(private: PrivateHost, **more: object) -> dict[str, object]:
    return {**reach(private), "direct": {"poll_s": 1, "kill_grace_s": 1}, "gpus": {}, "jobs": 8, **more}


@pytest.fixture
def fleet(tmp_path: Path, host: PrivateHost) -> Iterator[Fleet]:
    made = Fleet(tmp_path / "site", [gpu_host(host)], seconds=2)
    yield made
    made.stop()
    made.end_strays()


def why(fleet: Fleet, case: str) -> str:
    """What `mqi why` says, without starting an interpreter each time it is asked."""
    if not fleet.store.exists():
        return ""
    database = open_database(fleet.store)
    try:
        found = database.read_now(view_named, case, time.time())
    finally:
        database.close()
    return "\n".join([one.why for one in found[:1]] + [beam.why for one in found[:1] for beam in one.beams])


def output(fleet: Fleet, case: str, words: str) -> str:
    """What `mqi why` says, once it says this."""
    heard = ""

    def there() -> bool:
        nonlocal heard
        heard = why(fleet, case)
        return words in heard

    until(there, f"{case} says {words}")
    return heard


def begun_under_a_stop_file(fleet: Fleet) -> Path:
    fleet.drop(1)
    fleet.remote.mkdir(mode=0o700)
    stop = fleet.remote / "STOP"
    stop.touch()
    fleet.start()
    assert "STOP file" in output(fleet, "case 0001", "administrator's STOP file")
    return stop


def test_beams_begin_as_gpus_become_free_and_share_none(fleet: Fleet, fake: FakeGpus):
    fleet.drop(1, 2)
    fleet.start()
    assert fleet.until_ended(2)
    fleet.stop()
    fleet.must_be_done()
    runs = runs_of(fleet.witness)
    assert {name for run in runs for name in run.gpus} == {fake.uuid(0), fake.uuid(1)}
    assert all(len(run.gpus) == 1 for run in runs)


def test_a_waiting_beam_says_who_has_the_gpus(fleet: Fleet, fake: FakeGpus):
    fleet.behave(seconds=600)
    fake.use(1, 9000, pid=1)
    fleet.drop(1)
    fleet.start()
    heard = output(fleet, "case 0001", "waiting for a free GPU on private")
    assert "GPU 0 computes beam" in heard
    assert "GPU 1 is used by others (process 1): 9000 MiB" in heard
    fake.use(1, 0)
    until(lambda: len(runs_of(fleet.witness)) >= 2, "both GPUs compute")
    assert len({run.gpus for run in runs_of(fleet.witness)}) == 2
    assert "being cancelled" in fleet.mqi("cancel", "case 0001").stdout


@pytest.mark.parametrize("mode", ["nodriver", "garbage"])
def test_unknown_gpus_are_not_idle_ones(fleet: Fleet, fake: FakeGpus, mode: str):
    fake.say(mode)
    fleet.drop(1)
    fleet.start()
    assert "its GPUs are unknown" in output(fleet, "case 0001", "waiting for a free GPU")
    assert runs_of(fleet.witness) == []
    assert "NO  private: the GPUs are unknown" in fleet.mqi("check").stdout
    fake.say("ok")
    assert fleet.until_ended(1)


def test_an_urgent_case_goes_first_and_says_so_to_the_others(fleet: Fleet):
    fleet.hold.touch()
    fleet.drop(1)
    fleet.start()
    until(lambda: len(runs_of(fleet.witness)) >= 2, "both GPUs compute")
    assert fleet.mqi("priority", "case 0001", "background").returncode == 0
    fleet.drop(2, 3)
    output(fleet, "case 0002", "waiting for a free GPU")
    output(fleet, "case 0003", "waiting for a free GPU")
    assert fleet.mqi("priority", "case 0003", "urgent", "--reason", "treated at noon").returncode == 0
    assert "by priority, then by arrival" in output(fleet, "case 0001", " ahead (by priority")
    fleet.hold.unlink()
    assert fleet.until_ended(3)
    first = {run.token: run for run in sorted(runs_of(fleet.witness), key=lambda run: -run.start)}
    order = [run.case for run in sorted(first.values(), key=lambda run: run.start)]
    assert order.index(3) < order.index(2)
    rest = order[: len(order) - order[::-1].index(1)]
    assert len(rest) >= len(order) - 1, "beside the background case, which came first, at most one other beam is left"
    shown = json.loads(fleet.mqi("show", "case 0003", "--json").stdout)
    (event,) = [event for event in shown["events"] if event["event"] == "order.priority"]
    assert (event["before"], event["after"], event["why"]) == ("routine", "urgent", "treated at noon")


def test_a_stop_file_pauses_us_and_says_so(fleet: Fleet):
    stop = begun_under_a_stop_file(fleet)
    assert runs_of(fleet.witness) == []
    stop.unlink()
    assert fleet.until_ended(1)
    fleet.must_be_done()


def test_what_was_purged_from_the_host_is_sent_again(fleet: Fleet):
    stop = begun_under_a_stop_file(fleet)
    (case,) = (fleet.remote / "cases").iterdir()
    (case / "input").rename(fleet.folder / "purged")
    stop.unlink()
    assert fleet.until_ended(1)
    fleet.must_be_done()
    assert ("case.resent",) in fleet.ask("select distinct event from events")


def test_a_crash_at_the_save_is_followed_by_another_run(fleet: Fleet):
    fleet.behave(fault="save-crash", seconds=0.5)
    fleet.drop(1)
    fleet.start()
    until(lambda: {"1", "2"} <= {token[-1] for token in fleet.tokens()}, "a second run")
    fleet.behave(fault="")
    assert fleet.until_ended(1)
    fleet.must_be_done()


def places(fleet: Fleet) -> list[str]:
    with contextlib.suppress(sqlite3.OperationalError):
        return [name for (name,) in fleet.ask("select host from cases where host != ''")]
    return []


def test_two_hosts_share_the_work_and_one_that_is_down_is_skipped(tmp_path: Path, fake: FakeGpus):
    with (
        PrivateHost(tmp_path / "one", environment=fake.environment) as one,
        PrivateHost(tmp_path / "two", environment=FakeGpus(tmp_path / "more", 2, 24_000, machine=1).environment) as two,
    ):
        roots = [str(tmp_path / "remote-one"), str(tmp_path / "remote-two")]
        hosts = [
            {**gpu_host(one, remote=roots[0]), **reach(one, name="one")},
            {**gpu_host(two, remote=roots[1]), **reach(two, name="two")},
        ]
        fleet = Fleet(tmp_path / "site", hosts, seconds=2)
        try:
            fleet.hold.touch()
            fleet.drop(1, 2, 3, 4)
            fleet.start()
            until(lambda: len(places(fleet)) == 4, "each case has a host")
            assert set(places(fleet)) == {"one", "two"}
            fleet.hold.unlink()
            assert fleet.until_ended(4)
            one.stop()
            fleet.drop(5, 6, 7)
            assert fleet.until_ended(7), fleet.mqi("status").stdout
            assert {name for (name,) in fleet.ask("select host from cases order by seen desc limit 3")} == {"two"}
            fleet.stop()
            fleet.must_be_done()
        finally:
            fleet.stop()
            fleet.end_strays()


def test_a_person_may_answer_for_a_job_that_nobody_can_tell_of(fleet: Fleet):
    fleet.behave(seconds=600)
    fleet.drop(1)
    fleet.start()
    output(fleet, "case 0001", "computing")
    until(lambda: any(fleet.remote.glob("gates/*/started")), "a job has begun")
    record = next(fleet.remote.glob("gates/*/started"))
    beam = record.parent.name.rpartition("-b")[2].partition("-")[0]
    words = record.read_text().split(",")
    words[4] = "another-machine"
    record.write_text(",".join(words))
    output(fleet, "case 0001", "cannot report whether the job has ended")
    unknown = fleet.mqi("lost", "case 0001", "9")
    assert unknown.returncode == 1
    assert "no such beam" in unknown.stderr
    fleet.end_strays()
    fleet.behave(seconds=1)
    answer = fleet.mqi("lost", "case 0001", beam, "--reason", "I looked")
    assert "declared lost" in answer.stdout, answer
    assert fleet.until_ended(1), fleet.mqi("status").stdout
    assert fleet.audit().done == [1]
