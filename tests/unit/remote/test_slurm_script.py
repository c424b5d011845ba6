"""When Slurm is queried, and when a cached reply is used. Stand-ins for squeue and sacct answer."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.remote.verbs import script
from mqi_communicator.remote.workspace import workspace

TOKEN = "zzzzyyyy2345-b1-r1"


class Bench:
    """A workspace with a job that took its gate, and a Slurm that reports RUNNING."""

    def __init__(self, folder: Path) -> None:
        self.root, self.asked = folder / "work", folder / "asked"
        self._tools = folder / "tools"
        self._tools.mkdir()
        self._tool("squeue", f"echo >>{self.asked}; echo '47|{TOKEN}|RUNNING|None|N/A|node1'")
        self._tool("sacct", "exit 1")
        self._run(script(workspace(str(self.root))))
        began = f"{int(time.time()) - 3600},12,34,6e1ba97c-768f,node1,47"
        self.gate = self.root / "gates" / TOKEN
        self.gate.mkdir(parents=True)
        (self.gate / "started").write_text(began + "\n")

    def keep(self, age_s: float, state: str) -> None:
        """Cache a reply of some seconds ago."""
        at = int(time.time() - age_s)
        (self.root / ".queue").write_text(f"{at} 0\n47|{TOKEN}|{state}|None|N/A|node1\n")
        (self.root / ".account").write_text(f"{at} 0\n")

    def poll(self) -> JobStatus:
        scheduler = SlurmScheduler(str(self.root))
        call = scheduler.poll((TOKEN,))
        return scheduler.read_poll((TOKEN,), RemoteResponse(0, self._run(script(call), call.stdin)))[TOKEN]

    def questions(self) -> int:
        return len(self.asked.read_text()) if self.asked.exists() else 0

    def _tool(self, name: str, text: str) -> None:
        (self._tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (self._tools / name).chmod(0o755)

    def _run(self, text: str, stdin: bytes = b"") -> str:
        environment = {**os.environ, "PATH": f"{self._tools}:{os.environ['PATH']}"}
        ended = subprocess.run(
            ("sh", "-c", text), input=stdin, env=environment, capture_output=True, timeout=60, check=False
        )
        assert ended.returncode == 0, (ended.stdout, ended.stderr)
        return ended.stdout.decode()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(("age_s", "questions"), [(5, 0), (29.5 + 60, 1), (-3600, 1), (-20, 1)])
def test_an_answer_is_fresh_for_so_long_and_never_before_it_was_given(bench: Bench, age_s: float, questions: int):
    bench.keep(age_s, "RUNNING")
    assert bench.poll().state is JobState.RUNNING
    assert bench.questions() == questions


def test_after_a_jump_of_the_clock_an_old_answer_does_not_end_a_job(bench: Bench):
    """A reply from before the job's start, dated in the future, was taken for a requeued job."""
    bench.keep(-3600, "PENDING")
    assert bench.poll().state is JobState.RUNNING
    assert bench.poll().state is JobState.RUNNING
    assert bench.questions() == 1
