"""Real clusters, started once for all tests that can share one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def plain_cluster() -> Iterator[Cluster]:
    """Two nodes of two GPUs, without accounting."""
    with Cluster(nodes=2, gpus=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def counting_cluster() -> Iterator[Cluster]:
    """The same with accounting."""
    with Cluster(nodes=2, gpus=2, accounting=True) as cluster:
        yield cluster


@pytest.fixture(params=["without accounting", "with accounting"])
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Either of them; this process is a login on it."""
    name = "plain_cluster" if request.param == "without accounting" else "counting_cluster"
    made: Cluster = request.getfixturevalue(name)
    monkeypatch.setenv("SLURM_CONF", made.environment["SLURM_CONF"])
    return made
