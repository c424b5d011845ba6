"""A fleet of cases on a host with GPUs, while machines are switched off in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fleet.checker import runs_of
from tests.fleet.site import Fleet
from tests.processes import kill
from tests.standin.gpus import FakeGpus

from mqi_communicator.demo.host import PrivateHost

pytestmark = pytest.mark.real
PATIENCE_S = 300.0
CASES = (1, 2, 3, 4, 5)
GPUS = 4


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PrivateHost]:
    fake = FakeGpus(tmp_path / "gpus", GPUS, 24_000, jobs_mib=2000)
    with PrivateHost(tmp_path / "host", environment=fake.environment) as private:
        yield private


@pytest.fixture
def fleet(tmp_path: Path, host: PrivateHost) -> Iterator[Fleet]:
    reach = {"ssh": host.options().model_dump(mode="json", exclude_defaults=True)}
    how = {"direct": {"poll_s": 1, "kill_grace_s": 1}, "gpus": {}, "jobs": 8}
    made = Fleet(tmp_path / "site", [{**reach, **how}], seconds=3)
    yield made
    made.stop()
    made.end_strays()


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def starts(fleet: Fleet) -> int:
    return len({run.token for run in runs_of(fleet.witness)})


def beam(token: str) -> str:
    return token.rpartition("-r")[0]


def switch_off(host: PrivateHost, fleet: Fleet) -> None:
    """As a power cut does: sshd and every process of ours there end at once."""
    host.stop()
    doomed = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            here = str((folder / "cwd").readlink()).startswith(str(fleet.folder / "remote"))
        except OSError:
            continue
        if here and int(folder.name) != os.getpid():
            doomed.append(int(folder.name))
    kill(doomed)


def test_the_communicator_killed_and_the_host_switched_off_lose_and_double_nothing(fleet: Fleet, host: PrivateHost):
    fleet.drop(*CASES)
    fleet.start()
    until(lambda: starts(fleet) >= 3, "beams begin")
    fleet.stop(signal.SIGKILL)
    fleet.start()
    until(lambda: starts(fleet) >= 6, "beams go on after the kill")
    switch_off(host, fleet)
    cut = {run.token for run in runs_of(fleet.witness) if run.end is None}
    time.sleep(2)
    host.start()
    assert fleet.until_ended(len(CASES), PATIENCE_S), fleet.mqi("status").stdout
    fleet.stop()
    found = fleet.audit()
    assert sorted(found.done) == list(CASES)
    assert found.clean, found
    assert not found.waiting
    runs = {run.token for run in runs_of(fleet.witness)}
    again = {beam(token) for token in runs if not token.endswith("-r1")}
    assert {beam(token) for token in cut} <= again
    assert len(again) <= GPUS, "only what was on a GPU when the power went ran once more"
    assert len({beam(token) for token in runs}) == 3 * len(CASES)
