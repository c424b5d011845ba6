"""A fleet of cases through Slurm, while the communicator is killed and a node is drained in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqi_communicator.demo.host import PrivateHost
from tests.e2e.long.test_fleet import CASES, PATIENCE_S, starts, until
from tests.fleet.checker import runs_of
from tests.fleet.site import Fleet
from tests.slurm.cluster import Cluster


@pytest.fixture
def fleet(tmp_path: Path, cluster: Cluster) -> Iterator[Fleet]:
    with PrivateHost(tmp_path / "host", environment=cluster.environment) as host:
        reach = {"ssh": host.options().model_dump(mode="json", exclude_defaults=True)}
        how = {"slurm": {"gres": "gpu:1", "query_s": 2, "look_s": 0.5, "files_late_s": 5, "kill_grace_s": 2}, "jobs": 8}
        made = Fleet(tmp_path / "site", [{**reach, **how}], seconds=3)
        yield made
        made.stop()
        made.end_strays()


def test_the_communicator_killed_and_a_node_drained_lose_and_double_nothing(fleet: Fleet, cluster: Cluster):
    fleet.drop(*CASES)
    fleet.start()
    until(lambda: starts(fleet) >= 3, "beams begin")
    fleet.stop(signal.SIGKILL)
    cluster.ask("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=maintenance")
    try:
        fleet.start()
        until(lambda: starts(fleet) >= 8, "beams go on, on the other node")
    finally:
        cluster.ask("scontrol", "update", "NodeName=node1", "State=RESUME")
    assert fleet.until_ended(len(CASES), PATIENCE_S), fleet.mqi("status").stdout
    fleet.stop()
    found = fleet.audit()
    assert sorted(found.done) == list(CASES)
    assert found.clean, found
    assert not found.waiting
    assert {run.token for run in runs_of(fleet.witness) if not run.token.endswith("-r1")} == set()
    assert starts(fleet) == 3 * len(CASES), "each beam ran once"
