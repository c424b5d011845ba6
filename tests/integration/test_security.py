"""Claims of docs/security.md that no other test holds."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mqi_communicator.app import build, health, ready
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem, new_key
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.config import load
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.remote import workspace
from mqi_communicator.store import cases, work_items

pytestmark = pytest.mark.real
KEY = new_key()
FOLDER = "DOE^JANE 1234567"


@pytest.fixture
async def app(tmp_path):
    settings = {
        "paths": {name: str(tmp_path / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {"name": "box"},
        "engine": {"kind": "mcsquare", "home": str(tmp_path)},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    made = build(load(tmp_path / "config.yaml"))
    yield made
    for host in made.tools.hosts.values():
        await host.poller.close()
        await host.guarded.close()
    made.database.close()
    made.lock.release()


def limits() -> tuple[tuple[int, int], int]:
    """Core limit and umask of whoever is asked."""
    mask = os.umask(0)
    os.umask(mask)
    return resource.getrlimit(resource.RLIMIT_CORE), mask


def for_others(folder: Path) -> tuple[int, list[str]]:
    """How many files and folders lie there, and which of them others may use."""
    made = [path for path in folder.rglob("*") if not path.is_symlink()]
    return len(made), [str(path) for path in made if path.stat().st_mode & 0o077]


@pytest.mark.long
async def test_neither_the_communicator_nor_its_children_leave_a_core_or_a_file_for_others(app):
    assert limits() == ((0, 0), 0o077)
    assert await app.tools.workers.run(limits) == ((0, 0), 0o077)
    assert isinstance(app.tools.workers, WorkerPool)


async def test_a_job_leaves_no_core_and_no_file_for_others(app):
    host = app.tools.hosts["box"]
    workspace.read_workspace(await host.guarded.request(workspace.workspace(host.root), deadline=60))
    folder = Path(host.root) / "cases" / KEY / "input"
    (folder / "common").mkdir(parents=True)
    (folder / "common" / "x").touch()
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'').hexdigest()}  ./common/x\n")
    script = "ulimit -c; ulimit -Hc; umask; echo x >made; mkdir sub"
    token = f"{KEY}-b1-r1"
    work = Work((Program("engine", ("sh", "-c", script)),), ("made",), 60)
    host.scheduler.read_submit(await host.guarded.request(host.scheduler.submit(Job(token, work)), deadline=90))
    async with asyncio.timeout(120):
        while (status := (await host.poller.poll(token))[token]).state is not JobState.ENDED:  # noqa: ASYNC110 - a job
            await asyncio.sleep(0.2)
    assert status.exit_code == 0
    output = status.log_tail.split()
    assert output[-3:] == ["0", "0", "0077"], status.log_tail
    count, loose = for_others(Path(host.root))
    assert count > 8
    assert loose == []


async def test_the_pages_say_nothing_of_cases_folders_or_machines(app, tmp_path):
    app.database.write_now(cases.add, cases.Case(KEY, tmp_path / "watch" / FOLDER, 1.0, "f", host="box"))
    item = WorkItem(KEY, CASE_ITEM, "admit", reason=f"{FOLDER} is odd", due=1.0)
    app.database.write_now(work_items.add, item, Event(1.0, KEY, CASE_ITEM, "case.seen", why=FOLDER))
    app.watched.problem = ""
    pages = [app.metrics.render().decode(), str((await health(app)).facts), str((await ready(app)).facts)]
    assert 'mqi_work_items{status="ready",step="admit"} 1.0' in pages[0]
    words = [KEY, "DOE", "JANE", "1234567", str(tmp_path), os.uname().nodename, f'pid="{os.getpid()}"']
    assert [word for word in words if any(word in page for page in pages)] == []


def test_keys_are_random_and_say_nothing():
    keys = {new_key() for _ in range(10_000)}
    assert len(keys) == 10_000
    assert {len(key) for key in keys} == {12}
    assert set("".join(keys)) <= set("abcdefghijkmnpqrstuvwxyz23456789")
    code = "import random; random.seed(1); from mqi_communicator.case.model import new_key; print(new_key())"
    output = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(output) == 2, "no seed makes them again"
