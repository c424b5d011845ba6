"""Slurm keeps the promises of every scheduler: the one contract suite, unchanged, against a real cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.workspace import workspace
from tests.contract.test_scheduler_contract import *  # noqa: F403 - its tests are this module's
from tests.contract.test_scheduler_contract import SECONDS, Bench, marked
from tests.processes import kill
from tests.slurm.cluster import Cluster

QUICK = SlurmOptions(gres=None, query_s=1, look_s=0.2, files_late_s=1, kill_grace_s=1)


@pytest.fixture  # type: ignore[no-redef]
async def bench(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Bench]:
    root, host = tmp_path / "work", LocalHost(LocalOptions())
    assert (await host.request(workspace(str(root)), deadline=SECONDS)).exit_code == 0
    made = Bench(SlurmScheduler(str(root), QUICK), host, root)
    made.send("common/x", b"input")
    for beam in range(1, 31):
        made.send(f"beam-{beam}/x", b"")
    yield made
    cluster.ask("scancel", "--state=RUNNING", "--state=PENDING", f"--user={os.environ.get('USER', 'root')}")
    kill(marked())
    await host.close()
