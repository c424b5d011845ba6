"""Constancy samples: due by time and by change, never twice at once, and never mixed up with a patient's case."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mqi_communicator.app import App, build
from mqi_communicator.case.figure import Figure
from mqi_communicator.case.model import CASE_ITEM, Event, Kind, Manifest, Status, StoredFile, WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.config import load
from mqi_communicator.flow.background.constancy import DAY_S, Sample, basis_of, begin_due, changes, samples
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.constancy_due import DUE, Due
from mqi_communicator.flow.spool.origin import read_due, read_origin, write_origin
from mqi_communicator.flow.steps.admit import admit, register
from mqi_communicator.intake.examination import Complete
from mqi_communicator.store import audit, cases, figures, work_items

pytestmark = pytest.mark.real
NAME = "phantom 1"


@pytest.fixture
def app(tmp_path):
    settings = {
        "paths": {name: str(tmp_path / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"home": str(tmp_path)},
        "constancy": [{"name": NAME, "folder": str(tmp_path / "phantom"), "every_days": 30}],
    }
    (tmp_path / "phantom").mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    made = build(load(tmp_path / "config.yaml"))
    yield made
    made.database.close()
    made.lock.release()


def at(app: App, now: float, version: str = "1") -> None:
    """Another time, and another version of ours."""
    app.tools = replace(app.tools, clock=lambda: now, basis=Basis(version, "c" * 64))


def sample(app: App) -> Sample:
    basis = basis_of(app.tools.basis.version, app.tools.preparer.evidence())
    (found,) = app.database.read_now(samples, app.config.constancy, basis, app.tools.clock())
    return found


def end(app: App, status: Status = Status.DONE, word: str = "pass") -> None:
    """The last run ends."""
    key = sample(app).case
    own = app.database.read_now(work_items.get, key)
    app.database.write_now(work_items.move, own, replace(own, status=status), None)
    app.database.write_now(cases.change, key, word=word, content="a" * 64)


async def test_a_sample_is_due_at_first_then_by_time_and_by_change(app):
    at(app, 1000.0)
    assert sample(app).due == "it was never computed"
    assert await begin_due(app.config.constancy, app.tools) == (1, {})
    first = sample(app)
    assert (first.status, first.due, first.next_due) == ("ready", "", 1000.0 + 30 * DAY_S)
    assert await begin_due(app.config.constancy, app.tools) == (0, {})  # it is under way
    end(app)
    assert await begin_due(app.config.constancy, app.tools) == (0, {})  # nothing has changed
    at(app, 2000.0, "2")
    assert sample(app).due == "changed since the last: version (1 to 2)"
    assert (await begin_due(app.config.constancy, app.tools))[0] == 1
    end(app)
    second = sample(app)
    assert (second.because, second.verdict) == ("changed since the last: version (1 to 2)", "pass")
    at(app, 2000.0 + 30 * DAY_S - 1, "2")
    assert sample(app).due == ""
    at(app, 2000.0 + 30 * DAY_S, "2")
    assert sample(app).due == "30 days have passed"
    events = app.database.read_now(audit.history, second.case)
    assert events[0].event == DUE
    assert json.loads(events[0].facts)["basis"]["version"] == "2"


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_a_run_that_came_to_nothing_is_shown_and_not_begun_again_and_again(app, status):
    at(app, 1000.0)
    await begin_due(app.config.constancy, app.tools)
    end(app, status, word="")
    assert (sample(app).status, sample(app).verdict, sample(app).due) == (status, "", "")


async def test_a_folder_that_is_not_there_is_told_and_nothing_begins(app):
    app.config.constancy[0].folder.rmdir()
    begun, troubles = await begin_due(app.config.constancy, app.tools)
    assert begun == 0
    assert troubles == {NAME: "its folder cannot be listed: No such file or directory"}


def test_what_has_changed_is_named_and_long_values_are_not():
    before = {"engine": "A", "engine_sha256": "a" * 64, "gone": "x"}
    after = {"engine": "B", "engine_sha256": "b" * 64, "new": "y"}
    assert changes(before, after) == ["engine (A to B)", "engine_sha256", "gone (x to none)", "new (none to y)"]
    assert changes(after, after) == []


def admitted(content: str) -> Manifest:
    stored = StoredFile("0001.dcm", "b" * 64, 3, Kind.PLAN, "1.2.3", "plan.dcm")
    return Manifest(content, "c" * 64, ((1, "AP"),), (stored,))


def seen(app: App, key: str, constancy: str = "", now: float = 1.0) -> None:
    app.database.write_now(cases.add, cases.Case(key, Path("/in") / key, now, "f", constancy=constancy))
    app.database.write_now(work_items.add, WorkItem(key, CASE_ITEM, "admit"), Event(now, key, CASE_ITEM, "case.seen"))


def test_equal_content_is_computed_again_for_a_sample_and_is_no_patients_twin_or_revision(app):
    for key, name in (("k1", NAME), ("k2", NAME), ("k3", ""), ("k4", NAME), ("k5", "")):
        seen(app, key, name)
        same = key == "k5"
        done = app.database.write_now(register, key, admitted("a" * 64), 5.0)
        assert done.last is same, key
    found = {case.key: case for case in app.database.read_now(cases.all_cases)}
    assert {key: case.same_as for key, case in found.items() if case.same_as} == {"k5": "k3"}
    assert all(case.superseded_by == "" and case.revision == 1 for case in found.values())


def test_a_sample_is_no_part_of_a_trend(app):
    for key, name in (("k1", NAME), ("k2", "")):
        seen(app, key, name)
        app.database.write_now(figures.save, key, [Figure(key, "gamma", "plan", 1.0, "G1", "pass", 99.0, "%")])
    assert [one.case for one in app.database.read_now(figures.trend, "G1", "gamma")] == ["k2"]


def test_the_note_in_the_spool_says_that_it_is_a_sample(tmp_path):
    case, due = cases.Case("k", Path("/in/x"), 1.0, "f", constancy=NAME), Due("it was never computed", {"a": "b"})
    write_origin(tmp_path / "origin.json", case, due)
    assert read_origin(tmp_path / "origin.json", "k") == case
    assert read_due(tmp_path / "origin.json") == due
    older = json.loads((tmp_path / "origin.json").read_text())
    del older["constancy"]
    (tmp_path / "origin.json").write_text(json.dumps(older))
    assert read_origin(tmp_path / "origin.json", "k") == replace(case, constancy="")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"due": 1}', '{"due": {"because": "x"}}', '{"due": {"basis": []}}'])
def test_a_basis_that_cannot_be_read_is_unknown(tmp_path, text):
    (tmp_path / "origin.json").write_text(text)
    assert read_due(tmp_path / "origin.json") is None
    assert read_due(tmp_path / "missing") is None


class Admitting:
    """Workers that find every folder complete, and copy nothing."""

    def warm_up(self) -> None:
        pass

    async def run_within(self, *_args, **_kwargs):
        return Complete.__new__(Complete)

    async def run(self, _work, _source, case, *_args, **_kwargs):
        case.mkdir(parents=True, exist_ok=True)
        (case / "manifest.json").write_text(json.dumps({"content": "c", "lineage": "l", "beams": [], "files": []}))


async def test_admission_records_in_the_spool_what_the_run_is_computed_for(app):
    """A store restored from a backup learns it from there."""
    at(app, 1000.0, "7")
    await begin_due(app.config.constancy, app.tools)
    key = sample(app).case
    app.database.write_now(cases.change, key, changed=1.0)
    app.tools = replace(app.tools, workers=Admitting())
    assert isinstance(await admit(app.database.read_now(work_items.get, key), app.tools), Done)
    due = Due("it was never computed", basis_of("7", app.tools.preparer.evidence()))
    assert read_due(app.tools.spool(key).origin) == due
