"""Many cases on four GPUs: utilisation of the GPUs, and number of status queries."""

from __future__ import annotations

import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

from tests.fleet.cases import BEAMS
from tests.fleet.checker import Audit, Run, runs_of
from tests.fleet.site import Fleet, reach
from tests.slurm.cluster import Cluster
from tests.standin.gpus import FakeGpus

from mqi_communicator.demo.host import PrivateHost

GPUS = 4
LIMIT_S = 3600.0
TICK_S = 5.0  # of the plain host
QUERY_S = 30.0  # of Slurm: as an administrator wants it
_POLLS = re.compile(r'^mqi_remote_operations_total\{operation="(?:slurm_)?poll".*\} ([\d.e+]+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FleetResult:
    """The time for a fleet of cases. `bound`: a lower bound for any scheduler with the same jobs."""

    audit: Audit
    beams: int  # jobs that ran
    bound: float  # s; GPU time of all jobs, over the number of GPUs
    makespan: float  # s; from the first job's start to the last one's end
    took: float  # s; from the drop to the last delivered result
    gap: float  # s; median pause of a GPU between two jobs
    queries: int  # status queries that reached the scheduler
    tick: float  # s

    @property
    def busy(self) -> float:
        """Lower bound over makespan: 1 is optimal."""
        return self.bound / self.makespan

    @property
    def per_tick(self) -> float:
        """Status queries per tick, over the whole time."""
        return self.queries / (self.took / self.tick)


def on_host(base: Path, cases: int, seconds: float) -> FleetResult:
    """Cases of three beams, each `seconds` long on one GPU, on a plain host with four."""
    fake = FakeGpus(base / "gpus", GPUS, 24_000, jobs_mib=2000)
    with PrivateHost(base / "host", environment=fake.environment) as host:
        direct = {"direct": {"poll_s": TICK_S, "kill_grace_s": 2}, "gpus": {}, "jobs": 2 * GPUS}
        return _night(base, host, direct, cases, seconds, TICK_S)


def on_slurm(base: Path, cases: int, seconds: float) -> FleetResult:
    """The same on a cluster of two nodes with two GPUs each. `squeue` is counted by a program around it."""
    with Cluster(nodes=2, gpus=GPUS // 2) as cluster, _counted(base, cluster) as (environment, count):
        with PrivateHost(base / "host", environment=environment) as host:
            slurm = {"slurm": {"gres": "gpu:1", "query_s": QUERY_S, "look_s": 1}, "jobs": 4 * GPUS}
            night = _night(base, host, slurm, cases, seconds, QUERY_S)
        return replace(night, queries=count())


@contextmanager
def _counted(base: Path, cluster: Cluster) -> Iterator[tuple[dict[str, str], Any]]:
    """An environment in which each query of Slurm appends a line to a file."""
    programs, lines = base / "counted", base / "queries"
    programs.mkdir(parents=True)
    counter = programs / "squeue"
    counter.write_text(f"#!/bin/sh\necho query >>'{lines}'\nexec '{shutil.which('squeue')}' \"$@\"\n")
    counter.chmod(0o755)
    path = f"{programs}:/usr/local/bin:/usr/bin:/bin"
    yield (
        {**cluster.environment, "PATH": path},
        lambda: len(lines.read_text().splitlines()),
    )


def _night(base: Path, host: PrivateHost, how: dict[str, Any], cases: int, seconds: float, tick: float) -> FleetResult:
    resources = {"workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1, "cases": cases}
    fleet = Fleet(base / "site", [{**reach(host), **how}], seconds=seconds, resources=resources)
    try:
        fleet.drop(*range(1, cases + 1))
        began = time.time()
        fleet.start()
        if not fleet.until_ended(cases, LIMIT_S):
            sys.exit(f"the fleet did not end: {fleet.mqi('status').stdout}")
        took = time.time() - began
        queries = _polls(fleet)
        fleet.stop()
        runs, by_token = runs_of(fleet.witness), attrgetter("token")
        jobs = [_span(list(group)) for _, group in groupby(sorted(runs, key=by_token), key=by_token)]
        bound = sum(end - start for start, end, _ in jobs) / GPUS
        makespan = max(end for _, end, _ in jobs) - min(start for start, *_ in jobs)
        return FleetResult(fleet.audit(), len(jobs), bound, makespan, took, median(_gaps(jobs)), queries, tick)
    finally:
        fleet.stop()
        fleet.end_strays()


def _span(programs: list[Run]) -> tuple[float, float, str]:
    """When a job's first program started and its last one ended, and on which GPU."""
    first = min(programs, key=lambda run: run.start)
    return first.start, max(run.end or run.start for run in programs), ",".join(first.gpus)


def _gaps(jobs: list[tuple[float, float, str]]) -> list[float]:
    """Seconds between one job's end and the next one's start on the same GPU."""
    ordered = sorted(jobs, key=lambda job: (job[2], job[0]))
    return [after[0] - before[1] for before, after in pairwise(ordered) if before[2] == after[2]]


def _polls(fleet: Fleet) -> int:
    """Status queries, as the communicator itself counts them."""
    found = re.findall(r'"port": (\d+)', fleet.log.read_text())
    page = urllib.request.urlopen(f"http://127.0.0.1:{found[0]}/metrics", timeout=10).read().decode()
    counts = _POLLS.findall(page)
    if not counts:
        sys.exit("the metrics page does not tell of status queries")
    return int(sum(float(count) for count in counts))


def beams_of(cases: int) -> int:
    """How many jobs there should be."""
    return cases * len(BEAMS)
