"""`mqi check` tests that the ports of this machine can be listened on, unless the running communicator does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.boards import configure, dashboard, free_port

from mqi_communicator.checks import check_all
from mqi_communicator.config import load

pytestmark = pytest.mark.real


def ports_of(config: Path) -> list[tuple[bool, str, str]]:
    """The findings about the metrics page and the dashboard: whether each is sound, what it says, and the advice."""

    async def look() -> list[tuple[bool, str, str]]:
        found = []
        async for one in check_all(load(config)):
            if " port " in one.what:
                found.append((one.ok, one.what, one.advice))
            if len(found) == 2:
                break
        return found

    return asyncio.run(look())


def test_free_ports(tmp_path: Path):
    metrics, web = free_port(), free_port()
    config = configure(tmp_path / "site", {"port": web}, monitoring={"metrics_port": metrics})
    assert [(ok, what) for ok, what, _ in ports_of(config)] == [
        (True, f"the metrics page can listen on 127.0.0.1 port {metrics}"),
        (True, f"the dashboard can listen on 127.0.0.1 port {web}"),
    ]


@pytest.mark.long
def test_ports_of_the_running_communicator_are_no_defect_and_those_of_others_are(tmp_path: Path):
    metrics, web = free_port(), free_port()
    config = configure(tmp_path / "site", {"port": web}, monitoring={"metrics_port": metrics})
    other = configure(tmp_path / "other", {"port": web}, monitoring={"metrics_port": metrics})
    with dashboard(config, "run"):
        assert [(ok, what) for ok, what, _ in ports_of(config)] == [
            (True, f"the communicator is running on this store and serves its metrics at 127.0.0.1 port {metrics}"),
            (True, f"the communicator is running on this store and serves its dashboard at 127.0.0.1 port {web}"),
        ]
        assert ports_of(other) == [
            (
                False,
                f"the metrics page cannot listen on 127.0.0.1 port {metrics}: Address already in use",
                "set monitoring.metrics_port",
            ),
            (
                False,
                f"the dashboard cannot listen on 127.0.0.1 port {web}: Address already in use",
                "set web.host and web.port; or stop `mqi web`",
            ),
        ]


@pytest.mark.long
def test_a_dashboard_that_lost_its_port_to_another_program_is_a_defect_while_the_communicator_runs(tmp_path: Path):
    """The communicator held the store, and the port was taken for its own."""
    web = free_port()
    stranger = configure(tmp_path / "stranger", {"port": web})
    config = configure(tmp_path / "site", {"port": web})
    with dashboard(stranger), dashboard(config, "run", opened="started"):
        (_, found) = ports_of(config)
    assert found[:2] == (False, f"the dashboard cannot listen on 127.0.0.1 port {web}: Address already in use")
