"""A fleet of cases on a host with GPUs, while machines are switched off in the middle of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fleet.checker import runs_of
from tests.fleet.site import Fleet, reach, until
from tests.processes import inside, kill
from tests.standin.gpus import FakeGpus

from mqi_communicator.demo.host import PrivateHost

pytestmark = pytest.mark.real
CASES = (1, 2, 3, 4, 5)
GPUS = 4


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PrivateHost]:
    fake = FakeGpus(tmp_path / "gpus", GPUS, 24_000, jobs_mib=2000)
    with PrivateHost(tmp_path / "host", environment=fake.environment) as private:
        yield private


@pytest.fixture
def fleet(tmp_path: Path, host: PrivateHost) -> Iterator[Fleet]:
    how = {"direct": {"poll_s": 1, "kill_grace_s": 1}, "gpus": {}, "jobs": 8}
    made = Fleet(tmp_path / "site", [{**reach(host), **how}], seconds=3)
    yield made
    made.stop()
    made.end_strays()


def beam(token: str) -> str:
    return token.rpartition("-r")[0]


def switch_off(host: PrivateHost, fleet: Fleet) -> None:
    """As a power cut does: sshd and every process of ours there end at once."""
    host.stop()
    kill(inside(fleet.remote))


def test_the_communicator_killed_and_the_host_switched_off_lose_and_double_nothing(fleet: Fleet, host: PrivateHost):
    fleet.drop(*CASES)
    fleet.start()
    until(lambda: len(fleet.tokens()) >= 3, "beams begin")
    fleet.stop(signal.SIGKILL)
    fleet.start()
    until(lambda: len(fleet.tokens()) >= 6, "beams go on after the kill")
    switch_off(host, fleet)
    cut = {run.token for run in runs_of(fleet.witness) if run.end is None}
    time.sleep(2)
    host.start()
    assert fleet.until_ended(len(CASES)), fleet.mqi("status").stdout
    fleet.stop()
    fleet.must_be_done()
    assert not fleet.audit().waiting
    runs = fleet.tokens()
    again = {beam(token) for token in runs if not token.endswith("-r1")}
    assert {beam(token) for token in cut} <= again
    assert len(again) <= GPUS, "only what was on a GPU when the power went ran once more"
    assert len({beam(token) for token in runs}) == 3 * len(CASES)
