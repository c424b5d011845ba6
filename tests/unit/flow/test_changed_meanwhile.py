"""A case folder changes, or its share is unreachable, during admission: no change is missed."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.case.faults import CpuTimeExceeded, Unreachable
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.options import ResourceOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.admit import admit
from mqi_communicator.flow.tasks import examine
from mqi_communicator.intake.examination import Complete, Rejected
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.scan import scan_folder
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

NOW = 1_800_000_000.0
LINE = WorkItem("k1", CASE_ITEM, "admit", due=NOW, since=NOW)
MANIFEST = {"content": "c1", "lineage": "l1", "beams": [], "files": []}


class WorkerPool:
    """Reads and copies; meanwhile the folder changes and is scanned."""

    def __init__(self, site: SimpleNamespace, found: object) -> None:
        self.site, self.found = site, found

    async def run(self, work, *args, **_):
        if (work is examine) == isinstance(self.found, Rejected):
            (self.site.folder / "plan.dcm").write_text("the new plan, which is longer")
            await register_arrivals([self.site.folder], self.site)
        if work is examine:
            return self.found
        spool = Spool(args[1].parent)
        spool.case.mkdir(parents=True, exist_ok=True)
        spool.manifest.write_text(json.dumps(MANIFEST))
        return None

    async def run_within(self, _cpu_s, work, *args, **kwargs):
        return await self.run(work, *args, **kwargs)


class Busy:
    """A worker pool in which a case takes too long."""

    async def run_within(self, cpu_s, *_args, **_kwargs):
        raise CpuTimeExceeded(f"more than {cpu_s} s")


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "case 1"
    folder.mkdir()
    (folder / "plan.dcm").write_text("the old plan")
    database = open_database(tmp_path / "store.sqlite3")
    case = cases.Case("k1", folder, NOW - 60, scan_folder(folder, 100).fingerprint, changed=NOW - 60)
    database.write_now(cases.add, case)
    database.write_now(work_items.add, LINE, Event(NOW, "k1", CASE_ITEM, "case.seen"))
    made = SimpleNamespace(folder=folder, database=database, resources=ResourceOptions(), intake=IntakeOptions())
    made.preparer = SimpleNamespace(refusals=None)
    made.clock, made.emit, made.spool = lambda: NOW, lambda *_, **__: None, lambda key: Spool(tmp_path / "spool" / key)
    yield made
    database.close()


def complete() -> Complete:
    return Complete.__new__(Complete)


async def test_a_plan_replaced_after_it_was_copied_becomes_a_case_of_its_own(site):
    site.workers = WorkerPool(site, complete())
    assert isinstance(await admit(LINE, site), Done)
    site.database.write_now(work_items.move, LINE, replace(LINE, step="prepare"), None)
    assert len(await register_arrivals([site.folder], site)) == 1
    assert len(site.database.read_now(cases.all_cases)) == 2
    assert len(await register_arrivals([site.folder], site)) == 0


async def test_a_plan_replaced_while_the_communicator_was_down_becomes_a_case_of_its_own(site):
    site.workers = WorkerPool(site, complete())
    await admit(LINE, site)
    await register_arrivals([site.folder], site)  # what the folder is now is noted on the case that is at admit
    await admit(LINE, site)  # the next life finds the copy in the spool
    site.database.write_now(work_items.move, LINE, replace(LINE, step="prepare"), None)
    assert len(await register_arrivals([site.folder], site)) == 1


async def test_a_file_replaced_while_it_is_refused_is_checked_again(site):
    site.workers = WorkerPool(site, Rejected("not a plan", "export it again", "case.refused"))
    with pytest.raises(DicomProblem):
        await admit(LINE, site)
    site.database.write_now(work_items.move, LINE, replace(LINE, status=Status.FAILED), None)
    assert len(await register_arrivals([site.folder], site)) == 1
    assert site.database.read_now(work_items.get, "k1").status is Status.READY


@pytest.mark.parametrize("number", [errno.EHOSTDOWN, errno.ESTALE, errno.EIO])
async def test_a_share_whose_server_is_gone_is_waited_for_without_limit(site, monkeypatch, number):
    def gone(_path: Path) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "is_dir", gone)
    with pytest.raises(Unreachable, match="the share of the watched folder does not answer"):
        await admit(LINE, site)


async def test_a_case_that_takes_too_long_to_check_is_not_retried_until_its_folder_changes(site):
    site.workers = Busy()
    with pytest.raises(DicomProblem, match="took more than 600 s of processor time") as refused:
        await admit(LINE, site)
    assert refused.value.code == "case.too_slow"
    assert "intake.case_cpu_s" in refused.value.advice
    site.database.write_now(work_items.move, LINE, replace(LINE, status=Status.FAILED), None)
    assert len(await register_arrivals([site.folder], site)) == 0
    (site.folder / "plan.dcm").write_text("another plan")
    assert len(await register_arrivals([site.folder], site)) == 1
    assert site.database.read_now(work_items.get, "k1").status is Status.READY
