"""docs/howto.md, to the letter: a site rehearses its own machine, and replaces a beam model; real sshd."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.e2e.waits import all_are, is_computed, why

from mqi_communicator.demo.truth import MACHINE

OWN = "GTR1"
pytestmark = pytest.mark.timeout(1800)


def test_ones_own_machine_is_rehearsed(site):
    site.commission_engine()
    site.settings["machines"][OWN] = site.settings["machines"].pop(MACHINE)
    site.save()
    made = site.mqi("sample", str(site.folder / "rehearsal"), "--machine", OWN)
    assert made.returncode == 0, made.stderr
    site.reports()
    site.daemon()
    (site.folder / "rehearsal").rename(site.watch / f"rehearsal-{OWN}")
    (case,) = site.wait_for(all_are("done", f"rehearsal-{OWN}"), "each beam is computed, fetched and compared")
    assert site.mqi("why", f"rehearsal-{OWN}").returncode == 0
    results = Path(str(case["results"]))
    verdict = json.loads((results / "verdict.json").read_text())
    assert {check["scope"] for check in verdict["checks"]} == {"plan", "beam 1", "beam 2", "beam 3"}
    assert OWN in (results / "report.html").read_text("utf-8")


def test_a_beam_model_is_replaced(site):
    site.commission_engine()
    site.daemon()
    site.drop("old model")
    site.wait_for(all_are("done", "old model"), "a case is judged with the old model")
    site.histories(600_000)
    daemon = restart(site)
    site.drop("under way", seed=2)
    site.wait_for(is_computed("under way"), "its beams are under way when the model is replaced")

    declared = site.settings["machines"][MACHINE]
    old, new = Path(declared["beam_model"]), site.folder / "GTR1-2027.txt"
    before = dict(declared)
    new.write_text(old.read_text() + "\n")  # another digest, the same doses
    declared |= {"beam_model": str(new), "sha256": hashlib.sha256(new.read_bytes()).hexdigest()}
    declared |= {"commissioned_by": "A. Physicist", "commissioned_on": "2027-01-15"}
    site.save()
    checked = site.mqi("check")
    assert checked.returncode == 0, checked.stdout
    daemon = restart(site, daemon)
    shown = why(site, "under way", declared["sha256"][:8])
    assert before["sha256"][:8] in shown
    site.drop("new model", seed=3)
    site.wait_for(all_are("done", "new model"), "it is computed with the new model")

    assert site.mqi("rejudge", "old model").returncode == 0
    shown = why(site, "old model", declared["sha256"][:8])
    assert before["sha256"][:8] in shown

    site.settings["machines"][MACHINE] = before
    site.save()
    restart(site, daemon)
    site.wait_for(all_are("done", "under way"), "with the old model it continues")
    site.wait_for(all_are("done", "old model"), "and the old case is judged again")


def restart(site, daemon=None):
    assert (daemon or site.daemons[-1]).stop() == 0
    return site.daemon()
