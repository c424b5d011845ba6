"""What a look at the host did not show of a log counts when the log is here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.judged import KnownDose, judged

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, NewRun
from mqi_communicator.dose.engine import Accepted, Refused
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.steps.verify import verify
from mqi_communicator.flow.tasks import beam as task


class StrictEngine(KnownDose):
    """Its jobs are judged by their logs."""

    def job(self, _request):
        return StrictJob()


class StrictJob:
    """Refuses a log that contains an error."""

    def judge(self, exit_code, log_tail, _products):
        assert exit_code == 0
        if "damaged" in log_tail:
            return Refused("a crash in the middle", retryable=True)
        return Refused("other input", retryable=False, advice="look") if "other" in log_tail else Accepted({})


@pytest.fixture
def beam(tmp_path):
    """A beam whose products are here, its log, and the outcome of its last step."""
    case = judged(tmp_path)
    job = case.record.runs[0]
    log = case.spool.back(job.token) / "log"
    engine: Any = StrictEngine("pass", "tiny", 0.01)

    async def read(*_):
        return None

    async def run(function, *arguments):
        return function(*arguments)

    tools: Any = SimpleNamespace(
        database=SimpleNamespace(read=read),
        workers=SimpleNamespace(run=run),
        spool=lambda _: case.spool,
        preparer=Preparer(engine, PreparationOptions()),
    )
    return log, lambda: verify(WorkItem(case.spool.root.name, job.beam, "verify"), tools)


async def test_a_whole_log_that_is_good_keeps_its_dose(beam):
    log, last_step = beam
    log.write_text("fine\n" * 100_000)
    assert isinstance(await last_step(), Done)


async def test_what_is_found_in_the_whole_log_is_computed_again_or_refused(beam):
    log, last_step = beam
    log.write_text("fine\n" * 2000 + "damaged\n" + "fine\n" * 2000)
    assert await last_step() == NewRun("a crash in the middle")
    log.write_text("fine\n" * 2000 + "other\n" + "fine\n" * 2000)
    with pytest.raises(Permanent, match="other input"):
        await last_step()


async def test_a_log_too_long_to_be_read_proves_nothing_and_fills_no_memory(beam, monkeypatch):
    log, last_step = beam
    with log.open("wb") as file:
        file.truncate(6 << 30)  # a hole: no disk is used
    monkeypatch.setattr(task, "LOG_BYTES", 1 << 20)
    with pytest.raises(Permanent, match=r"has 6144 MiB, and at most 1 MiB are read"):
        await last_step()
