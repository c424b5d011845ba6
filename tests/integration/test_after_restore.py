"""Decisions that a restored store has lost still hold: one test for each row of the table in operations.md."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import pytest
from tests.restored import KEY, TWIN, Site
from tests.spooled import delivered, shut, spooled

from mqi_communicator.case.faults import ActionRequired, DiskFull
from mqi_communicator.case.model import CASE_ITEM, Event, Priority, Status, WorkItem
from mqi_communicator.case.outcome import NewRun
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.background.constancy import Sample, basis_of, begin_due, samples
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.constancy_due import Due
from mqi_communicator.flow.options import ConstancyOptions
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.spool.decisions import Ended, note_ended
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.flow.spool.origin import write_origin
from mqi_communicator.flow.steps import spent
from mqi_communicator.flow.steps.collect import collect
from mqi_communicator.flow.steps.follow import follow
from mqi_communicator.flow.steps.submit import submit
from mqi_communicator.flow.steps.tidy import tidy_host
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.flow.transitions.judgements import number
from mqi_communicator.intake.scan import scan_folder
from mqi_communicator.results.extension import Extension
from mqi_communicator.store import audit, cases, jobs, orders, work_items
from mqi_communicator.store.database import StoreUnavailable

pytestmark = pytest.mark.real


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await shut(made.app)


@pytest.mark.parametrize("known", [False, True])
async def test_a_cancelled_case_is_not_computed_again(site, known):
    """A fault round found it: seven jobs ran twice under the same tokens."""
    if not known:
        site.back_up()
    spooled(site.app, KEY)
    await site.under_way()
    if known:
        site.back_up()
    await site.run_ends()
    assert site.order("cancel") == "being cancelled"
    await site.work_until_cancelled()
    assert site.gates() == []
    found = await site.restore()
    assert found.readmitted == (0 if known else 1)
    assert site.item().wanted == "cancel"
    assert ("order.cancel", "j.doe") in site.events()
    await site.work_until_cancelled()
    assert site.gates() == []
    assert site.witness.read_text() == "x\n"
    before = len(site.events())
    await reconcile(site.app.tools)
    assert len(site.events()) == before, "once known, the order is not given again"


async def test_a_case_cancelled_before_admission_is_not_registered_again(site):
    site.back_up()
    folder = site.app.config.paths.watch / "case"
    folder.mkdir(parents=True)
    (folder / "plan").write_text("x")
    seen = scan_folder(folder, 100)
    case = cases.Case(KEY, folder, 10.0, seen.fingerprint, changed=10.0, rank=10.0)
    site.app.database.write_now(cases.add, case)
    site.app.database.write_now(
        work_items.add, WorkItem(KEY, CASE_ITEM, "admit"), Event(10.0, KEY, CASE_ITEM, "case.seen")
    )
    site.order("cancel")
    await site.restore()
    assert len(await register_arrivals([folder], site.app.tools)) == 0
    assert site.item().step == "admit"
    await site.work_until_cancelled()


async def test_a_folder_dropped_again_after_a_cancel_continues(site):
    site.back_up()
    spooled(site.app, KEY, seen=10.0)
    await reconcile(site.app.tools)
    site.order("cancel")
    spooled(site.app, TWIN, seen=20.0)
    await site.restore()
    assert (site.case(TWIN).same_as, site.item(TWIN).step) == ("", "prepare")


async def test_a_case_retried_after_its_cancel_continues(site):
    site.back_up()
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    site.order("hold", at=40.0)
    site.order("cancel", at=50.0)
    await site.work_until_cancelled()
    assert site.order("retry", at=60.0) == "retried"
    await site.restore()
    assert (site.item().status, site.item().wanted) == (Status.READY, "")


@pytest.mark.parametrize(("words", "status"), [(("hold",), Status.HELD), (("hold", "release"), Status.READY)])
async def test_a_held_case_stays_held_until_it_is_released(site, words, status):
    site.back_up()
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    for at, word in enumerate(words, 50):
        site.order(word, at=at)
    await site.restore()
    assert site.item().status is status


async def test_a_priority_survives(site):
    site.back_up()
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    site.order("priority", "urgent")
    rank = site.case().rank
    await site.restore()
    assert (site.case().priority, site.case().rank) == (Priority.URGENT.value, rank)


async def test_an_order_without_effect_is_not_recorded(site):
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    assert site.order("release") == "nothing to release: the case is not held"
    assert not site.app.tools.spool(KEY).orders.exists()


async def test_an_order_is_not_applied_if_it_cannot_be_recorded(site, monkeypatch):
    spooled(site.app, KEY)
    await reconcile(site.app.tools)

    def full(*_):
        raise DiskFull("no space", "")

    monkeypatch.setattr("mqi_communicator.flow.spool.decisions.write_durably", full)
    with pytest.raises(StoreUnavailable, match="no space"):
        site.order("cancel")
    assert site.item().wanted == ""
    assert len(site.app.database.read_now(orders.pending)) == 1


@pytest.mark.parametrize("step", [submit, follow, collect])
async def test_a_token_whose_gate_was_removed_is_never_used_again(site, step):
    """Extended, failed and tidied, or whatever else removed it: the store takes run 1 for not started."""
    spooled(site.app, KEY)
    await site.under_way()
    await site.run_ends()
    site.back_up()
    await tidy_host(KEY, site.app.tools)
    await site.restore()
    site.app.database.write_now(jobs.change, f"{KEY}-b1-r1", active=False)
    outcome = await step(replace(site.item(beam=1), step=step.__name__), site.app.tools)
    assert isinstance(outcome, NewRun)
    assert outcome.beyond == 1
    row = site.app.database.read_now(jobs.get, f"{KEY}-b1-r1")
    assert (row.state, row.active) == ("ended", False)


async def test_no_gate_is_removed_if_its_run_cannot_be_recorded(site, monkeypatch):
    spooled(site.app, KEY)
    await site.under_way()
    await site.run_ends()

    def full(*_):
        raise DiskFull("no space", "")

    monkeypatch.setattr(spent, "write_durably", full)
    with pytest.raises(DiskFull):
        await tidy_host(KEY, site.app.tools)
    assert site.gates() == [f"{KEY}-b1-r1"]


async def test_with_an_unreadable_record_nothing_starts(site):
    spooled(site.app, KEY)
    await site.under_way()
    site.app.tools.spool(KEY).spent.write_text("[")
    with pytest.raises(ActionRequired, match=r"spent\.json cannot be read"):
        await submit(replace(site.item(beam=1), step="submit"), site.app.tools)


async def test_a_job_declared_lost_is_polled_again(site):
    """The gate still exists, so nothing runs twice; a declaration holds for the state that the operator checked."""
    spooled(site.app, KEY)
    await site.under_way()
    row = site.item(beam=1)
    site.app.database.write_now(work_items.move, row, replace(row, status=Status.WAITING), None)
    site.back_up()
    given = {"at": 50.0, "case": KEY, "order": "lost", "who": "j.doe", "why": "", "beam": 1}
    one = site.app.database.read_now(orders.get, site.app.database.write_now(orders.add, **given))
    site.app.database.write_now(apply_order, one, site.app.tools.spool(KEY), 50.0, 1.0)
    assert site.item(beam=1).run == 2
    await site.restore()
    assert (site.item(beam=1).run, site.item(beam=1).step) == (1, "follow")


async def test_the_last_judgement_counts_even_if_the_store_knows_only_an_earlier_one(site):
    spooled(site.app, KEY)
    folder = delivered(site.app, KEY)
    await reconcile(site.app.tools)
    done = replace(site.item(), status=Status.DONE)
    site.app.database.write_now(work_items.move, site.item(), done, None)
    site.back_up()
    later = folder.rename(folder.with_name(f"{KEY}-judged-2"))
    note_ended(site.app.tools.spool(KEY), Ended(2, str(later), "pass", "all checks passed"))
    assert (await site.restore()).delivered == 1
    assert site.case().results == str(later)
    assert number(site.app.database.read_now(audit.history, KEY)) == 2
    assert (await reconcile(site.app.tools)).delivered == 0


async def test_a_case_whose_results_were_moved_away_is_not_computed_again(site):
    site.back_up()
    spooled(site.app, KEY)
    folder = delivered(site.app, KEY)
    note_ended(site.app.tools.spool(KEY), Ended(1, str(folder), "fail", "gamma"))
    shutil.rmtree(folder)
    await site.restore()
    assert (site.item().step, site.case().word, site.case().results) == ("tidy", "fail", str(folder))


@pytest.mark.parametrize("known", [False, True])
async def test_a_longer_run_that_was_ordered_continues(site, known):
    """Else the verdict that it was ordered for would close the case, beside a job that is not followed."""
    if not known:
        site.back_up()
    spooled(site.app, KEY)
    await site.under_way()
    if known:
        site.back_up()
    delivered(site.app, KEY)
    note_ended(site.app.tools.spool(KEY), Ended(1, "x", "undecided", "noise"))
    longer = Extension(9000, 1000, 4000, closed=True)
    write_durably(site.app.tools.spool(KEY).extension, longer.text())
    found = await site.restore()
    assert found.delivered == 0
    assert (site.item().step, site.item().status, site.case().extension) == ("prepare", Status.READY, longer.text())
    assert number(site.app.database.read_now(audit.history, KEY)) == 2
    if known:
        assert (site.item(beam=1).step, site.item(beam=1).run) == ("submit", 2)
    assert site.app.database.read_now(jobs.count_active) == 0


def begun_constancy(site: Site, basis: dict[str, str]) -> None:
    """A constancy run that was due and admitted after the backup."""
    case = replace(spooled(site.app, KEY), seen=time.time(), constancy="phantom")
    write_origin(site.app.tools.spool(KEY).origin, case, Due("30 days have passed", basis))


def phantom(site: Site, version: str) -> Sample:
    """The sample's state, for a version of the communicator."""
    wanted = [ConstancyOptions(name="phantom", folder=site.folder / "phantom", every_days=30)]
    basis = basis_of(version, site.app.tools.preparer.evidence())
    (found,) = site.app.database.read_now(samples, wanted, basis, time.time())
    return found


@pytest.mark.parametrize("ended", ["delivered", "cancelled"])
async def test_a_constancy_run_stays_one_and_is_not_computed_again(site, ended):
    site.back_up()
    begun_constancy(site, basis_of("1", site.app.tools.preparer.evidence()))
    if ended == "delivered":
        delivered(site.app, KEY)
    found = await site.restore()
    assert (found.readmitted, found.delivered) == (1, int(ended == "delivered"))
    assert (site.case().constancy, phantom(site, "1").because) == ("phantom", "30 days have passed")
    assert phantom(site, "2").due == "", "a run that has not ended is waited for"
    status = Status.DONE if ended == "delivered" else Status.CANCELLED
    site.app.database.write_now(work_items.move, site.item(), replace(site.item(), status=status), None)
    assert phantom(site, "1").due == ""
    assert phantom(site, "2").due == "changed since the last: version (1 to 2)"


async def test_a_constancy_run_cancelled_before_admission_is_not_computed_again(site):
    site.app.tools = replace(site.app.tools, basis=Basis("1", "c" * 64))
    site.back_up()
    (site.folder / "phantom").mkdir()
    wanted = [ConstancyOptions(name="phantom", folder=site.folder / "phantom", every_days=30)]
    assert await begin_due(wanted, site.app.tools) == (1, {})
    key = phantom(site, "1").case
    site.order("cancel", key=key)
    await site.restore()
    assert (site.case(key).constancy, site.item(key).wanted) == ("phantom", "cancel")
    site.app.database.write_now(work_items.move, site.item(key), replace(site.item(key), status=Status.CANCELLED), None)
    assert phantom(site, "1").due == ""


async def test_without_its_basis_one_more_constancy_run_is_due(site):
    """A spool of an older version: what is not known to be computed is computed."""
    site.back_up()
    case = replace(spooled(site.app, KEY), seen=time.time(), constancy="phantom")
    write_origin(site.app.tools.spool(KEY).origin, case)
    await site.restore()
    done = replace(site.item(), step="tidy", status=Status.DONE)
    site.app.database.write_now(work_items.move, site.item(), done, None)
    assert phantom(site, "1").due.startswith("changed since the last")


async def test_an_order_that_was_not_applied_yet_is_lost(site):
    spooled(site.app, KEY)
    await reconcile(site.app.tools)
    site.back_up()
    given = {"at": 50.0, "case": KEY, "order": "cancel", "who": "j.doe", "why": ""}
    site.app.database.write_now(orders.add, **given)
    assert (await site.restore()).orders == 0
    assert site.item().wanted == ""
