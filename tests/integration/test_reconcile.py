"""A restored store: what the spool, the results and the host know of a case is enough to recover it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.spooled import begin, delivered, shut, spooled, two_hosts

from mqi_communicator.app import App
from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.steps.cancel import cancel
from mqi_communicator.flow.steps.upload import upload
from mqi_communicator.remote import workspace
from mqi_communicator.store import audit, cases, jobs, work_items

pytestmark = pytest.mark.real
KEY, NEWER = "reconcase234", "reconcase678"


@pytest.fixture
async def app(tmp_path):
    made = two_hosts(tmp_path)
    yield made
    await shut(made)


async def test_a_case_in_the_spool_is_recovered_under_its_key_and_folder(app):
    case = spooled(app, KEY)
    assert (await reconcile(app.tools)).readmitted == 1
    found = app.database.read_now(cases.get, KEY)
    assert (found.source, found.seen, found.content) == (case.source, 10.0, "a" * 64)
    item = app.database.read_now(work_items.get, KEY)
    assert (item.step, item.status) == ("prepare", Status.READY)
    assert (await reconcile(app.tools)).readmitted == 0


async def test_the_newer_of_two_lost_revisions_supersedes_the_older(app):
    spooled(app, NEWER, "e" * 64, seen=20.0)
    spooled(app, KEY, "a" * 64, seen=10.0)
    await reconcile(app.tools)
    older, newer = (app.database.read_now(cases.get, key) for key in (KEY, NEWER))
    assert (older.revision, older.superseded_by, newer.revision) == (1, NEWER, 2)


async def test_a_delivered_case_is_not_computed_again(app):
    spooled(app, KEY)
    folder = delivered(app, KEY)
    found = await reconcile(app.tools)
    assert (found.readmitted, found.delivered, found.cases) == (1, 1, {"ready": 1})
    case, item = app.database.read_now(cases.get, KEY), app.database.read_now(work_items.get, KEY)
    assert (case.word, case.results, item.step, item.status) == ("pass", str(folder), "tidy", Status.READY)


@pytest.mark.parametrize("event", ["case.extended", "order.rejudge"])
async def test_earlier_results_do_not_close_a_case_that_is_judged_again(app, event):
    spooled(app, KEY)
    delivered(app, KEY)
    await reconcile(app.tools)
    own = app.database.read_now(work_items.get, KEY)
    again = replace(own, step="compare", since=30.0)
    app.database.write_now(
        work_items.move, own, again, Event(30.0, KEY, CASE_ITEM, event, own.step, own.status, "compare")
    )
    assert (await reconcile(app.tools)).delivered == 0
    assert app.database.read_now(work_items.get, KEY).step == "compare"


async def test_beams_and_slots_of_a_delivered_case_are_closed_too(app):
    spooled(app, KEY)
    await reconcile(app.tools)
    own = app.database.read_now(work_items.get, KEY)
    app.database.write_now(work_items.move, own, replace(own, step="compare", status=Status.WAITING), None)
    app.database.write_now(work_items.add_beam, WorkItem(KEY, 1, "submit"))
    wish = jobs.JobRow(f"{KEY}-b1-r1", KEY, 1, 1, "one", jobs.WANTED, active=False, claimed=1.0)
    app.database.write_now(jobs.claim, wish, jobs.HostCapacity(5))
    delivered(app, KEY)
    assert (await reconcile(app.tools)).delivered == 1
    assert app.database.read_now(work_items.get, KEY, 1).status is Status.DONE
    assert app.database.read_now(jobs.count_active) == 0


async def test_changed_results_are_not_trusted(app):
    spooled(app, KEY)
    (delivered(app, KEY) / "verdict.json").write_text("{}")
    found = await reconcile(app.tools)
    assert (found.delivered, found.mismatched) == (0, 1)
    assert app.database.read_now(work_items.get, KEY).step == "prepare"


@pytest.mark.parametrize(("name", "kind"), [("orders", ActionRequired), ("manifest", Permanent)])
async def test_a_damaged_record_in_the_spool_stops_the_start(app, name, kind):
    spooled(app, KEY)
    getattr(app.tools.spool(KEY), name).write_text("[{")
    with pytest.raises(kind):
        await reconcile(app.tools)
    assert app.database.read_now(cases.all_cases) == []


async def test_a_case_that_is_being_cancelled_or_has_ended_is_unchanged(app):
    spooled(app, KEY)
    await reconcile(app.tools)
    own = app.database.read_now(work_items.get, KEY)
    app.database.write_now(work_items.move, own, replace(own, wanted="cancel"), None)
    delivered(app, KEY)
    assert (await reconcile(app.tools)).delivered == 0


def lives(pid: int) -> bool:
    """Whether a process is running, and not a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


async def test_a_cancel_ends_runs_known_only_to_the_host(app):
    app.database.write_now(cases.add, cases.Case(KEY, Path("/in/x"), 1.0, "f", host="two"))
    app.database.write_now(
        work_items.add, WorkItem(KEY, CASE_ITEM, "compare", wanted="cancel"), Event(1.0, KEY, 0, "x")
    )
    await begin(app, "two", KEY, 3)
    host = app.tools.hosts["two"]
    token = f"{KEY}-b1-r3"
    assert workspace.read_runs(await host.guarded.request(workspace.runs(host.root, KEY), deadline=60)) == [token]
    (record,) = (Path(host.root) / "gates" / token).iterdir()
    pid = int(record.read_text().split(",")[1])
    assert lives(pid)
    item = app.database.read_now(work_items.get, KEY)
    async with asyncio.timeout(120):
        while not isinstance(await cancel(item, app.tools), Done):  # noqa: ASYNC110 - as the driver asks
            await asyncio.sleep(0.2)
    assert not lives(pid)
    assert not list((Path(host.root) / "gates").iterdir())
    assert not list((Path(host.root) / "cases").iterdir())


async def test_a_started_case_returns_to_its_host_even_if_the_store_has_lost_it(app):
    """`two` is not the first choice; only the spool records it."""
    spooled(app, KEY)
    await reconcile(app.tools)
    spool = app.tools.spool(KEY)
    spool.input.mkdir()
    (spool.input / "x").write_bytes(b"input")
    (spool.input / workspace.SUMS).write_bytes(workspace.sums_text({"x": hashlib.sha256(b"input").hexdigest()}))
    write_durably(spool.sent_to, "two")
    assert (await app.tools.host_of(KEY)).name == "two"
    done = await upload(replace(app.database.read_now(work_items.get, KEY), step="upload"), app.tools)
    assert isinstance(done, Done)
    assert done.facts["host"] == "two"
    assert app.database.read_now(cases.get, KEY).host == "two"
    assert [item.beam for item in app.database.read_now(work_items.of_case, KEY)] == [0, 1, 2]


def prepared(app: App, content: bytes) -> None:
    """The engine's input, as it is written for a configuration."""
    folder = app.tools.spool(KEY).input
    folder.mkdir(exist_ok=True)
    (folder / "x").write_bytes(content)
    (folder / workspace.SUMS).write_bytes(workspace.sums_text({"x": hashlib.sha256(content).hexdigest()}))


async def test_an_input_that_was_uploaded_and_not_used_is_replaced_after_a_change_of_the_configuration(app):
    """A fault round found it: the case failed, since its folder on the host had other content."""
    spooled(app, KEY)
    await reconcile(app.tools)
    at_upload = replace(app.database.read_now(work_items.get, KEY), step="upload")
    prepared(app, b"old")
    assert isinstance(await upload(at_upload, app.tools), Done)
    prepared(app, b"new")
    done = await upload(at_upload, app.tools)
    assert isinstance(done, Done)
    root = Path(app.tools.hosts[str(done.facts["host"])].root)
    assert (root / "cases" / KEY / "input" / "x").read_bytes() == b"new"


@pytest.mark.parametrize("known", ["to the store", "to the host"])
async def test_an_input_with_which_a_job_may_have_started_is_not_replaced(app, known):
    spooled(app, KEY)
    await reconcile(app.tools)
    at_upload = replace(app.database.read_now(work_items.get, KEY), step="upload")
    prepared(app, b"old")
    done = await upload(at_upload, app.tools)
    assert isinstance(done, Done)
    name = str(done.facts["host"])
    if known == "to the store":
        row = jobs.JobRow(f"{KEY}-b1-r1", KEY, 1, 1, name, jobs.WANTED, active=False, claimed=1.0)
        app.database.write_now(jobs.claim, row, jobs.HostCapacity(5))
    else:
        (Path(app.tools.hosts[name].root) / "gates" / f"{KEY}-b1-r1").mkdir()
    prepared(app, b"new")
    with pytest.raises(ActionRequired, match="were started with another input") as refused:
        await upload(at_upload, app.tools)
    assert (Path(app.tools.hosts[name].root) / "cases" / KEY / "input" / "x").read_bytes() == b"old"
    assert "restore the previous configuration" in refused.value.advice


def waiting(app: App, *, recipe: dict[str, str], step: str = "compare", beams: int = 2) -> None:
    """A case whose input is prepared, with its beams waiting for their turn."""
    spooled(app, KEY)
    app.tools.spool(KEY).recipe.write_text(json.dumps(recipe))
    app.database.write_now(cases.add, cases.Case(KEY, Path("/in/case"), 10.0, "print"))
    own, seen = WorkItem(KEY, CASE_ITEM, step, status=Status.WAITING), Event(10.0, KEY, CASE_ITEM, "case.seen", "admit")
    app.database.write_now(work_items.add, own, seen)
    for number in range(1, beams + 1):
        app.database.write_now(work_items.add_beam, WorkItem(KEY, number, "submit"))
        wish = jobs.JobRow(f"{KEY}-b{number}-r1", KEY, number, 1, "one", jobs.WANTED, active=False, claimed=1.0)
        app.database.write_now(jobs.claim, wish, jobs.HostCapacity(0))


@pytest.mark.parametrize(("step", "beams"), [("compare", 2), ("upload", 0)])
async def test_input_for_another_configuration_is_prepared_again_before_a_beam_starts(app, step, beams):
    waiting(app, recipe={**app.tools.engine.recipe(), "dose": "to something else"}, step=step, beams=beams)
    await reconcile(app.tools)
    own = app.database.read_now(work_items.get, KEY)
    assert (own.step, own.status) == ("prepare", Status.READY)
    last = app.database.read_now(audit.history, KEY)[-1]
    assert last.event == "case.prepared_again"
    assert "dose to something else" in last.why


async def test_input_for_the_same_configuration_is_kept(app):
    waiting(app, recipe=dict(app.tools.engine.recipe()))
    await reconcile(app.tools)
    assert app.database.read_now(work_items.get, KEY).step == "compare"


async def test_input_is_kept_once_a_beam_has_started(app):
    waiting(app, recipe={"dose": "to something else"})
    wish = jobs.JobRow(f"{KEY}-b1-r1", KEY, 1, 1, "one", jobs.WANTED, active=False, claimed=1.0)
    app.database.write_now(jobs.claim, wish, jobs.HostCapacity(1))
    await reconcile(app.tools)
    assert app.database.read_now(work_items.get, KEY).step == "compare"
