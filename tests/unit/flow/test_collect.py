"""What a job wrote is fetched within the announced sizes; larger files stay on the host."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from mqi_communicator.case.faults import DiskFull, Permanent, Transient
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.dose.log_excerpt import LOG_BYTES
from mqi_communicator.flow.options import ResourceOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.collect import collect

LINE = WorkItem("k1", 1, "collect")
DOSE = b"a dose"
GIB = 1 << 30


class Far:
    """A host with a run's files, of which those that are too large stay there, as with rsync's --max-size."""

    def __init__(self, **sizes: int) -> None:
        self.sizes, self.asked = sizes, 0

    async def fetch(self, _root, _token, target, *, names, largest, deadline):
        assert deadline > 0
        self.asked = largest
        for name in names:
            if self.sizes[name] <= largest:
                (target / name).write_bytes(DOSE)


@pytest.fixture
def site(tmp_path):
    """The tools of `collect`; the test sets the host and the announced sizes."""
    spool = Spool(tmp_path / "k1")

    def made(host: Far, announced: int = len(DOSE), free: float = 0.0) -> tuple[Any, Spool]:
        row = SimpleNamespace(products={"dose": (announced, hashlib.sha256(DOSE).hexdigest())})
        seen = JobStatus(JobState.ENDED, log_tail=f"begin\nmqi-cut {6 * GIB}\nend\n")

        async def read(*_):
            return row

        async def poll(token):
            return {token: seen}

        async def host_of(_key):
            return SimpleNamespace(name="gpu1", root="/w", guarded=host, poller=SimpleNamespace(poll=poll))

        tools = SimpleNamespace(
            database=SimpleNamespace(read=read),
            spool=lambda _: spool,
            host_of=host_of,
            resources=ResourceOptions(local_free_gib=free),
        )
        return tools, spool

    return made


async def test_log_and_products_are_fetched_with_a_bound(site):
    host = Far(dose=len(DOSE), log=LOG_BYTES)
    tools, spool = site(host)
    assert isinstance(await collect(LINE, tools), Done)
    assert host.asked == LOG_BYTES
    assert (spool.back(LINE.token) / "log").exists()


async def test_of_an_endless_log_beginning_and_end_are_kept_and_the_reason_is_given(site):
    tools, spool = site(Far(dose=len(DOSE), log=6 * GIB))
    for _ in range(2):  # what was kept of it is not taken for the log the next time
        with pytest.raises(Permanent, match="the job's log on gpu1 has 6144 MiB or more, and the limit is 64 MiB"):
            await collect(LINE, tools)
        assert (spool.back(LINE.token) / "log").read_text().split() == ["begin", "mqi-cut", str(6 * GIB), "end"]


async def test_a_product_that_has_grown_since_it_was_announced_is_named(site):
    tools, _ = site(Far(dose=LOG_BYTES + 1, log=5))
    with pytest.raises(Transient, match="dose was 6 bytes when the job ended, and is larger on the host now"):
        await collect(LINE, tools)


async def test_products_that_do_not_fit_are_not_fetched(site):
    host = Far(dose=len(DOSE), log=5)
    tools, _ = site(host, announced=10**17)
    with pytest.raises(DiskFull, match="the results need"):
        await collect(LINE, tools)
    assert host.asked == 0
