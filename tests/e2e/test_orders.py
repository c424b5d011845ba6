"""Orders: carried out while the daemon runs, kept while it does not."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def slow(site):
    """A site whose engine takes a while."""
    site.histories(1_000_000)
    return site


def computing(cases):
    return any(beam["step"] == "follow" and beam["percent"] for case in cases for beam in case["beams"])


def test_cancel_ends_the_jobs_provably_and_tidies_the_host(slow):
    slow.drop()
    daemon = slow.daemon()
    (case,) = slow.wait_for(computing, "a beam is computing")
    answer = slow.mqi("cancel", str(case["case"]), "--reason", "wrong plan")
    assert "being cancelled" in answer.stdout
    slow.wait_for(lambda cases: cases[0]["status"] == "cancelled", "cancelled")
    assert "end" not in slow.witness.read_text()  # killed, not finished
    assert not list((slow.remote / "cases").iterdir())
    assert slow.ask("select count(*) from jobs where active") == [(0,)]
    daemon.stop()
    shown = json.loads(slow.mqi("show", str(case["case"]), "--json").stdout)
    ordered = [event for event in shown["events"] if event["event"] == "order.cancel"]
    assert {event["why"] for event in ordered} == {"wrong plan"}


@pytest.mark.long
def test_an_order_given_while_nobody_runs_is_carried_out_at_the_next_start(slow):
    slow.drop()
    daemon = slow.daemon()
    slow.wait_for(computing, "a beam is computing")
    daemon.kill()
    answer = slow.mqi("cancel", "case one")
    assert "applied when the communicator runs" in answer.stdout
    daemon = slow.daemon()
    slow.wait_for(lambda cases: cases[0]["status"] == "cancelled", "cancelled")
    assert daemon.stop() == 0


@pytest.mark.long
def test_hold_stops_a_case_and_release_lets_it_go_on(site):
    site.drop(kind="missing-slice")
    daemon = site.daemon()
    site.wait_for(lambda cases: cases and cases[0]["status"] == "waiting", "waits for the slice")
    reported = json.loads(site.mqi("status", "--json").stdout)
    (case,) = site.status()
    assert reported["running"] is True
    moving = {"status", "why", "eta"}  # while the folder is looked at again and again
    (shown,) = reported["cases"]
    assert {name: shown[name] for name in shown.keys() - moving} == {name: case[name] for name in case.keys() - moving}
    assert shown.keys() == case.keys()
    assert (shown["folder"], shown["step"]) == ("case one", "admit")
    assert "held" in site.mqi("hold", "case one").stdout
    assert "held by order" in site.mqi("why", "case one").stdout
    assert "released" in site.mqi("release", "case one").stdout
    site.wait_for(lambda cases: cases[0]["status"] == "waiting", "waits again")
    daemon.stop()


@pytest.mark.long
def test_an_order_for_an_unknown_case_says_so(site):
    site.mqi("once")  # the first start creates the store
    answer = site.mqi("cancel", "nobody")
    assert answer.returncode == 2
    assert 'no case matches "nobody"' in answer.stderr


@pytest.mark.long
def test_a_second_communicator_is_told_who_holds_the_store(site):
    daemon = site.daemon()
    next(daemon.events())
    answer = site.mqi("once")
    assert answer.returncode == 1
    assert f"process {daemon.process.pid} on" in answer.stderr
    daemon.stop()
