"""A fleet of cases through Slurm, while the communicator is killed and a node is drained in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqi_communicator.demo.host import PrivateHost
from tests.e2e.long.test_fleet import CASES
from tests.fleet.site import Fleet, reach, until
from tests.slurm.cluster import Cluster


@pytest.fixture
def fleet(tmp_path: Path, cluster: Cluster) -> Iterator[Fleet]:
    with PrivateHost(tmp_path / "host", environment=cluster.environment) as host:
        how = {"slurm": {"gres": "gpu:1", "query_s": 2, "look_s": 0.5, "files_late_s": 5, "kill_grace_s": 2}, "jobs": 8}
        made = Fleet(tmp_path / "site", [{**reach(host), **how}], seconds=3)
        yield made
        made.stop()
        made.end_strays()


def test_the_communicator_killed_and_a_node_drained_lose_and_double_nothing(fleet: Fleet, cluster: Cluster):
    fleet.drop(*CASES)
    fleet.start()
    until(lambda: len(fleet.tokens()) >= 3, "beams begin")
    fleet.stop(signal.SIGKILL)
    cluster.ask("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=maintenance")
    try:
        fleet.start()
        until(lambda: len(fleet.tokens()) >= 8, "beams go on, on the other node")
    finally:
        cluster.ask("scontrol", "update", "NodeName=node1", "State=RESUME")
    assert fleet.until_ended(len(CASES)), fleet.mqi("status").stdout
    fleet.stop()
    fleet.must_be_done()
    assert not fleet.audit().waiting
    assert {token for token in fleet.tokens() if not token.endswith("-r1")} == set()
    assert len(fleet.tokens()) == 3 * len(CASES), "each beam ran once"
