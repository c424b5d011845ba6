"""Signatures: one per delivery, never changing the verdict, locking the signed files; shown by `mqi`."""

from __future__ import annotations

import json
import os
import pwd
import re
import time

import pytest
from tests.judged import CONVENTIONS, KEY, judged
from typer.testing import CliRunner

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Event, WorkItem
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.flow.tasks.report import redraw_report
from mqi_communicator.flow.tasks.sign import Signer, sign_results, signature_of
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.signature import Decision, overrides
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database

NAME, ROLE = "Ada Byron", "medical physicist"
CONFIG = """
paths: {watch: incoming, workspace: workspace, results: results, remote: /home/mqi/work}
local: {}
engine: {home: /opt/mcsquare}
dose_conventions: {MQI SAMPLE: {medium: medium, biology: physical, extent: course}}
"""


@pytest.fixture
def delivered(tmp_path):
    """A case whose verdict is not_judged, delivered."""
    case = judged(tmp_path / "workspace", "no-dose")
    case.report(gamma=[])
    return case, case.deliver(tmp_path / "results")


def sign(delivered, decision=Decision.ACCEPT, reason="seen elsewhere"):
    case, folder = delivered
    return sign_results(case.spool, folder, Signer(decision, NAME, ROLE, reason, "ada"), 1000.0)


def test_an_override_needs_a_reason_and_leaves_the_verdict_as_it_is(delivered):
    _case, folder = delivered
    before = (folder / "verdict.json").read_bytes()
    with pytest.raises(Permanent, match="overrides the verdict not_judged"):
        sign(delivered, reason=" ")
    assert signature_of(folder) is None
    made = sign(delivered)
    assert made.overrides
    assert signature_of(folder) == made
    assert (folder / "verdict.json").read_bytes() == before
    assert "Ada Byron" in (folder / "signature.json").read_text()


def test_a_signed_version_is_locked(delivered):
    case, folder = delivered
    sign(delivered)
    with pytest.raises(Permanent, match="signed already: accepted by Ada Byron"):
        sign(delivered, Decision.REJECT)
    with pytest.raises(Permanent, match="the results are signed"):
        redraw_report(case.spool, folder, case.judgement, CONVENTIONS, ReportOptions())
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o222]


def test_changed_results_cannot_be_signed_and_later_changes_are_detected(delivered):
    _case, folder = delivered
    report = folder / "report.html"
    whole = report.read_bytes()
    report.write_bytes(whole + b" ")
    with pytest.raises(Permanent, match=r"report\.html was changed"):
        sign(delivered)
    report.write_bytes(whole)
    sign(delivered)
    manifest = folder / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(Permanent, match="not of these results"):
        signature_of(folder)


@pytest.mark.parametrize("word", CheckOutcome)
def test_only_a_decision_against_the_verdict_overrides_it(word):
    assert overrides(Decision.ACCEPT, word) == (
        word in (CheckOutcome.FAIL, CheckOutcome.UNDECIDED, CheckOutcome.NOT_JUDGED)
    )
    assert overrides(Decision.REJECT, word) == (word is CheckOutcome.PASS)


@pytest.mark.timeout(600)  # two fresh interpreters that load everything, on a machine that may be busy
def test_mqi_report_sign_and_show(delivered, tmp_path):
    case, folder = delivered
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    database = open_database(load(config).paths.store)
    database.write_now(cases.add, Case(KEY, tmp_path / "incoming", 1.0, "f", word=case.word, results=str(folder)))
    database.write_now(work_items.add, WorkItem(KEY, 0, "tidy"), Event(1.0, KEY, 0, "case.seen"))

    def mqi(*words: str, code: int = 0) -> str:
        forged = {
            "LOGNAME": "dr-house",
            "USER": "dr-house",
            "LNAME": "dr-house",
            "SUDO_UID": "",
            "SUDO_USER": "dr-house",
        }
        ended = CliRunner().invoke(app, [*words, "--config", str(config)], env=forged)
        assert ended.exit_code == code, ended.output
        return re.sub(r"\s+", " ", ended.output)

    (folder / "report.pdf").unlink()
    assert f"{KEY}: generated" in mqi("report", "--all")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "give one case or --all" in mqi("report", code=2)
    who = ("--name", NAME, "--role", ROLE)
    assert "either --accept or --reject" in mqi("sign", KEY, *who, code=2)
    assert "give a --reason" in mqi("sign", KEY, "--accept", *who, code=1)
    assert "2 to 80 characters" in mqi("sign", KEY, "--reject", "--name", "x", "--role", "y", code=2)
    assert "rejected by Ada Byron (medical physicist)" in mqi("sign", KEY, "--reject", *who)
    shown = mqi("show", KEY)
    assert "signature: rejected by Ada Byron" in shown
    (event,) = (e for e in database.read_now(work_items.events_of, KEY) if e.event == "case.signed")
    assert event.facts["decision"] == "reject"
    assert event.who == pwd.getpwuid(os.getuid()).pw_name
    assert event.at == pytest.approx(time.time(), abs=300)
    database.close()
    assert json.loads((folder / "verdict.json").read_text())["word"] == "not_judged"
