"""The configuration is changed while a case is computed, or before it is judged again.

A dose of another beam model is not taken for one of this; a job of another number of runs is not started or judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.judged import CONVENTIONS, KnownDose, judged
from tests.spooled import begin, shut, spooled, two_hosts

from mqi_communicator.app import App
from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.case.outcome import NewRun, Outcome, Wait
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.steps.follow import follow
from mqi_communicator.flow.steps.submit import submit
from mqi_communicator.flow.tasks.beam import keep_beam_dose
from mqi_communicator.flow.tasks.judge import judge_case
from mqi_communicator.store import cases, jobs, work_items

NEW_ENGINE: Any = KnownDose("pass", "tiny", 0.01, model="sha256 bbbb")
KEY = "recipecase22"
BOTH_VALUES = "made for a job of 2 runs, and the configuration now has none"  # of MCsquare
NEW = Preparer(NEW_ENGINE, PreparationOptions())


def tokens(case):
    return {job.beam: job.token for job in case.record.runs}


def test_a_dose_of_another_model_is_not_read_as_one_of_this(tmp_path):
    case = judged(tmp_path)
    (number, token), *_ = tokens(case).items()
    with pytest.raises(ActionRequired) as reported:
        keep_beam_dose(case.spool, number, token, NEW, {})
    assert "beam_model/MQI-DEMO sha256 aaaa" in str(reported.value)
    assert "sha256 bbbb" in str(reported.value)
    assert "copy its folder in again" in reported.value.advice


@pytest.mark.parametrize("kept", [True, False])
def test_a_kept_dose_is_not_judged_as_one_of_another_model(tmp_path, kept):
    case = judged(tmp_path)
    assert case.word == "pass"
    if not kept:
        case.spool.recipe.unlink()
    same: Any = KnownDose("pass", "tiny", 0.01)
    now = NEW if kept else Preparer(same, PreparationOptions())
    word, why, _ = judge_case(case.spool, tokens(case), now, case.judgement, CONVENTIONS, case.record.basis)
    assert word == "not_judged"
    assert "computed with" in why
    assert json.loads((case.spool.results / "verdict.json").read_text())["word"] == "not_judged"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    """A communicator, and a case whose input is on host `one`, made for jobs of two runs."""
    made = two_hosts(tmp_path)
    case = spooled(made, KEY)
    spool, database = made.tools.spool(KEY), made.database
    spool.recipe.write_text(json.dumps({**made.tools.preparer.recipe(), "job": "2 runs"}))
    spool.sent_to.write_text("one")
    database.write_now(cases.add, case)
    own = WorkItem(KEY, CASE_ITEM, "compare")
    database.write_now(work_items.add, own, Event(1.0, KEY, CASE_ITEM, "case.seen"))
    database.write_now(work_items.add_beam, WorkItem(KEY, 1, "submit"))
    yield made
    await shut(made)


async def test_a_job_that_does_not_suit_the_input_is_not_started(app: App):
    with pytest.raises(ActionRequired, match=BOTH_VALUES) as reported:
        await submit(WorkItem(KEY, 1, "submit"), app.tools)
    assert "restore the previous configuration" in reported.value.advice
    assert app.database.read_now(jobs.of_case, KEY) == []


async def test_its_input_is_prepared_again_at_the_next_start_if_no_beam_has_started(app: App):
    await reconcile(app.tools)
    assert app.database.read_now(work_items.get, KEY).step == "prepare"


async def followed(app: App) -> Outcome:
    """What `follow` makes of the job once it has ended."""
    async with asyncio.timeout(120):
        while isinstance(outcome := await follow(WorkItem(KEY, 1, "follow"), app.tools), Wait):  # noqa: ASYNC110 - as the driver
            await asyncio.sleep(0.2)
    return outcome


async def test_a_job_that_was_started_for_another_input_is_judged_once_the_configuration_is_restored(app: App):
    """It failed, after hours: its doses have other names."""
    row = jobs.JobRow(f"{KEY}-b1-r1", KEY, 1, 1, "one", jobs.WANTED, active=False, claimed=1.0)
    app.database.write_now(jobs.claim, row, jobs.HostCapacity(1))
    await begin(app, "one", KEY, 1, ("true",))
    app.database.write_now(jobs.change, row.token, state=JobState.QUEUED.value)
    with pytest.raises(ActionRequired, match=BOTH_VALUES):
        await followed(app)
    (kept,) = app.database.read_now(jobs.of_case, KEY)
    assert (kept.exit_code, kept.active) == (0, False), "its slot is free"
    await reconcile(app.tools)
    assert app.database.read_now(work_items.get, KEY).step == "compare", "its input is kept"
    app.tools.spool(KEY).recipe.write_text(json.dumps(dict(app.tools.preparer.recipe())))
    assert isinstance(await followed(app), NewRun), "the engine's judgement: `true` computes no dose"


def test_a_fetched_dose_of_such_a_job_is_not_read(tmp_path: Path):
    case = judged(tmp_path)
    (number, token), *_ = tokens(case).items()
    made_with = json.loads(case.spool.recipe.read_text())
    case.spool.recipe.write_text(json.dumps({**made_with, "job": "2 runs"}))
    same: Any = KnownDose("pass", "tiny", 0.01)
    with pytest.raises(ActionRequired, match=BOTH_VALUES):
        keep_beam_dose(case.spool, number, token, Preparer(same, PreparationOptions()), {})
