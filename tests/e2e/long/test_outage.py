"""The host goes away in the middle and comes back: nobody is needed, nothing is lost, nothing runs twice."""

from __future__ import annotations

import json
from collections import Counter

from tests.e2e.pages import page


def commands(daemon) -> str:
    """The state of the breaker for commands."""
    return str(json.loads(page(daemon, "readyz")[1])["breakers"]["private commands"])


def test_an_outage_in_the_middle_needs_nobody(site, host):
    site.histories(600_000)
    site.drop()
    daemon = site.daemon()
    daemon.until("started")
    site.wait_for(lambda cases: cases and any(beam["percent"] for beam in cases[0]["beams"]), "a beam is computing")
    host.stop()
    site.wait_for(lambda cases: "does not answer" in str(cases[0]["beams"]), "the outage is told")
    assert commands(daemon) in ("open", "half_open")  # half-open: a probe is out at this moment
    assert page(daemon, "healthz")[0] == 200
    assert 'mqi_breaker_state{host="private",state="closed",work="commands"} 0.0' in page(daemon, "metrics")[1]
    daemon.kill()  # and the breaker is not forgotten by a restart
    daemon = site.daemon()
    daemon.until("started")
    assert commands(daemon) in ("open", "half_open")
    host.start()
    (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "done")
    assert Counter(site.starts()) == {f"{case['case']}-b1-r1": 1, f"{case['case']}-b2-r1": 1}
    assert commands(daemon) == "closed"
    assert daemon.stop() == 0


def test_once_tells_an_unreachable_host_by_its_exit_code(site, host):
    site.drop()
    host.stop()
    answer = site.mqi("once", "--json")
    assert answer.returncode == 3
    last = json.loads(answer.stdout.splitlines()[-1])
    assert last["end"] == "unreachable"
    assert last["cases"][0]["status"] == "waiting"
    host.start()
    assert site.mqi("once").returncode in (0, 1)
    assert site.status()[0]["status"] == "done"
