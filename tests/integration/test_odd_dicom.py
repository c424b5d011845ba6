"""Texts of a case's DICOM files, from the watched folder to its results, its report and the commands that show it."""

from __future__ import annotations

import json
import time
import warnings
from io import BytesIO

import pytest
from pypdf import PdfReader
from tests.boards import configure
from tests.judged import KEY, judged
from tests.odd_text import NAME, hidden, spoil_texts, strings
from typer.testing import CliRunner

from mqi_communicator.case.model import Event, Kind, Status, WorkItem
from mqi_communicator.case.visible import visible
from mqi_communicator.cli.main import app
from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.flow.tasks.figures import figures_of
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.dose_type import unknown_convention
from mqi_communicator.store import cases, figures, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database

MACHINE = visible(f"MQI-DEMO{NAME}")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The case as judged, and a site whose store has it: configuration, the case's spool, its folder of results."""
    base = tmp_path_factory.mktemp("odd")

    def change(draft):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom: the values are not valid
            spoil_texts(*draft.objects(), but={"Manufacturer"})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = judged(base, change=change)
    case.report(identity="name")
    results = case.deliver(base / "results")
    config = configure(base, report={"identity": "id", "labels": True})
    (stored,) = load_manifest(case.spool.manifest).of(Kind.PLAN)
    plan, _ = read_plan(case.spool.case / stored.stored)
    assert plan.beams[0].machine == MACHINE
    reason = unknown_convention(plan.label)  # as for a planning system of that name
    database = open_database(base / "workspace/store.sqlite3")

    def plant(connection):
        row = Case(KEY, base / "watch" / "folder", time.time(), "f", word=case.word, why=reason, results=str(results))
        cases.add(connection, row)
        cases.change(connection, KEY, content="c")
        cases.identify(connection, KEY, load_manifest(case.spool.manifest).identity)
        figures.save(connection, KEY, figures_of(case.spool, time.time()))
        item = WorkItem(KEY, 0, "upload", Status.WAITING, reason=reason, advice=reason, needs_person=True)
        work_items.add(connection, item, Event(1.0, KEY, 0, "step.action_required", "upload", why=reason))

    database.write_now(plant)
    database.close()
    return config, case, results, reason


def test_the_results_and_the_report(made):
    _, case, results, _ = made
    for name in ("verdict.json", "manifest.json"):
        assert not [text for text in strings(json.loads((results / name).read_text())) if hidden(text)], name
    assert not hidden((results / "report.html").read_text("utf-8").replace("\n", " "))
    for page in PdfReader(BytesIO((results / "report.pdf").read_bytes())).pages:
        assert not hidden(page.extract_text().replace("\n", " "))
    stored = json.loads(case.spool.manifest.read_text())
    assert not [text for text in strings((stored["beams"], stored["identity"])) if hidden(text)]


@pytest.mark.parametrize(
    "command",
    [
        ("status",), ("status", "--json"), ("why", KEY), ("why", KEY, "--json"), ("show", KEY), ("show", KEY, "--json"),
        ("audit", KEY), ("audit", KEY, "--json"), ("trend",), ("trend", "--json"), ("trend", "--csv"),
        ("trend", "--machine", MACHINE, "--json"),
    ],
)  # fmt: skip
def test_commands(made, command):
    ended = CliRunner().invoke(app, [*command, "--config", str(made[0])])
    assert ended.exit_code == 0, ended.output
    assert not hidden(ended.output.replace("\n", " "))
    if "--json" in command:
        read = [json.loads(line) for line in ended.output.splitlines() if line]
        assert not [text for text in strings(read) if hidden(text)]
    if command[0] == "trend":
        assert MACHINE[:20] in ended.output.replace("\\\\", "\\")
