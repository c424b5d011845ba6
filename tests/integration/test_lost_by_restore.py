"""What a store restored from a backup does not get back, and what is found on the host: the other rows of the table in
operations.md."""

from __future__ import annotations

import asyncio
import hashlib
import math
from dataclasses import replace

import pytest
from tests.restored import KEY, TWIN, Site
from tests.spooled import begin, delivered, shut, spooled

from mqi_communicator.case.figure import Figure
from mqi_communicator.case.model import CASE_ITEM, Event, Status
from mqi_communicator.case.outcome import Done
from mqi_communicator.case.signing import SignRequest
from mqi_communicator.flow.hosts.breaker import Breaker
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.spool.decisions import SignedNote, note_signed
from mqi_communicator.flow.steps.submit import submit
from mqi_communicator.flow.tasks.sign import sign_results
from mqi_communicator.store import audit, breakers, figures, notices, orders, work_items

pytestmark = pytest.mark.real


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await shut(made.app)


async def test_a_case_is_superseded_again_by_a_revision_that_the_store_has_lost(site):
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    site.back_up()
    spooled(site.app, TWIN, "e" * 64, seen=20.0)
    await site.restore()
    assert (site.case().superseded_by, site.case(TWIN).revision) == (TWIN, 2)
    (order,) = site.app.database.read_now(orders.pending)
    assert (order.case, order.order, order.who) == (KEY, "cancel", "mqi")


async def test_a_job_of_a_run_that_the_store_has_lost_is_adopted(site):
    """The store begins at its own run, which has ended; the gate of the next one says that it was made."""
    spooled(site.app, KEY)
    await site.under_way()
    site.back_up()
    await site.run_ends()
    await begin(site.app, "two", KEY, 2, ("sh", "-c", f"echo y >>{site.witness}; sleep 600"))
    await site.restore()
    second = replace(site.item(beam=1), step="submit", run=2)
    site.app.database.write_now(work_items.move, site.item(beam=1), second, None)
    async with asyncio.timeout(60):
        while not isinstance(await submit(second, site.app.tools), Done):  # noqa: ASYNC110 - as the driver asks
            await asyncio.sleep(0.2)
    states = await site.app.tools.hosts["two"].poller.poll(second.token)
    assert states[second.token].state.value == "running"
    assert site.gates() == [f"{KEY}-b1-r1", f"{KEY}-b1-r2"]
    assert site.witness.read_text() == "x\ny\n"
    site.order("cancel")
    await site.work_until_cancelled()


async def test_a_failed_case_is_tried_once_more(site):
    site.back_up()
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    failed = replace(site.item(), status=Status.FAILED, tries=8, reason="no")
    site.app.database.write_now(work_items.move, site.item(), failed, None)
    await site.restore()
    assert (site.item().status, site.item().step, site.item().tries) == (Status.READY, "prepare", 0)


async def test_a_judgement_that_was_ordered_and_not_delivered_is_lost(site):
    spooled(site.app, KEY)
    folder = delivered(site.app, KEY)
    await reconcile(site.app.tools)
    done = replace(site.item(), status=Status.DONE)
    site.app.database.write_now(work_items.move, site.item(), done, None)
    site.back_up()
    assert site.order("rejudge") == "judged again with the current limits"
    assert site.item().step == "compare"
    await site.restore()
    assert (site.item().status, site.case().results) == (Status.DONE, str(folder))
    assert site.app.database.read_now(orders.of_case, KEY) == []


async def test_a_signature_is_beside_the_results_and_recorded_again(site):
    spooled(site.app, KEY)
    await site.under_way()
    site.back_up()
    folder = delivered(site.app, KEY)
    seen = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    request = SignRequest("accept", 1, "ann", "Ann Example", "physicist", "password", "dashboard", seen)
    spool = site.app.tools.spool(KEY)
    sign_results(spool, folder, request, "", 60.0, second=False)
    note_signed(spool, SignedNote(str(folder), "signed", "ann", 60.0))
    site.app.database.write_now(audit.append, Event(60.0, KEY, CASE_ITEM, "case.signed", who="ann"))
    found = await site.restore()
    assert (found.delivered, found.mismatched) == (1, 0), "the signature is no change of the results"
    assert ("case.signed", "ann") not in site.events()
    assert ("case.signature_recovered", "mqi") in site.events()
    assert (site.case().signature, site.case().signed_by, site.case().signed_at) == ("signed", "ann", 60.0)
    before = site.events()
    await reconcile(site.app.tools)
    assert site.events() == before


async def test_a_notification_may_be_sent_twice(site):
    site.app.database.write_now(notices.save_cursor, notices.Cursor("mail", 0, 0.0))
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    failed = replace(site.item(), status=Status.FAILED)
    event = Event(30.0, KEY, CASE_ITEM, "step.failed", failed.step)
    site.app.database.write_now(work_items.move, site.item(), failed, event)
    site.back_up()
    last = site.app.database.read_now(notices.last_event)
    site.app.database.write_now(notices.save_cursor, notices.Cursor("mail", last, 40.0))
    await site.restore()
    cursor = site.app.database.read_now(notices.get_cursor, "mail")
    _last, again = site.app.database.read_now(notices.events_after, cursor.event)
    assert [one.event.event for one in again] == ["step.failed"]


async def test_figures_of_a_case_judged_after_the_backup_are_lost(site):
    spooled(site.app, KEY)
    await site.under_way()
    site.back_up()
    delivered(site.app, KEY)
    one = Figure(KEY, "gamma", "plan", 1.0, "G1", "pass", 99.0, "%")
    site.app.database.write_now(figures.save, KEY, [one])
    assert (await site.restore()).delivered == 1
    assert site.app.database.read_now(figures.trend, "G1", "gamma", limit=5, before=math.inf) == []


async def test_a_host_that_was_paused_is_tried_again(site):
    site.back_up()
    site.app.database.write_now(breakers.save, "one:commands", Breaker("open", probe_at=9e9).to_json())
    await site.restore()
    assert not site.app.tools.hosts["one"].guarded.paused
