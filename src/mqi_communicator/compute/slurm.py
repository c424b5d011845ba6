"""Jobs through Slurm: few questions to the scheduler, ends seen on the shared file system, absence no end."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from mqi_communicator.case.faults import Transient
from mqi_communicator.case.request import RemoteRequest, RemoteResponse, trouble
from mqi_communicator.compute.job import Job, spec_of, token_lines, workspace_root
from mqi_communicator.compute.observed import Observed, read_lines
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.compute.slurm_queue import BY_SIGNAL, SchedulerReply, conclude, read_scheduler_reply

_SUBMIT = re.compile(r"^mqi-submit (?:begun|already|adopted) (\d+|none)$", re.MULTILINE)
MARGIN_S = 600  # between the engine's own limit and the scheduler's, so that the job can still say how it ended
LEAST_S = 60


class SlurmScheduler:
    """A Scheduler for a cluster. `root` is the absolute path of the workspace, on a file system that nodes share."""

    name: Literal["slurm"] = "slurm"
    skew_s = 60.0  # clocks of nodes may differ by so much

    def __init__(self, root: str, options: SlurmOptions | None = None) -> None:
        self._root = workspace_root(root)
        self._options = options or SlurmOptions()
        self.tick_s = self._options.query_s

    def submit(self, job: Job) -> RemoteRequest:
        """Hand the job to sbatch unless its gate is taken, or a job of its name is in the queue or the accounting."""
        options, limit = self._options, job.work.limit_s
        if options.time_s is not None:
            limit = min(limit, max(LEAST_S, options.time_s - LEAST_S))
        spec = spec_of(
            job, self._root, kill_grace_s=options.kill_grace_s, limit_s=limit, sbatch=tuple(self._sbatch(limit))
        )
        return RemoteRequest("slurm_submit", (self._root, job.token), spec)

    def read_submit(self, response: RemoteResponse) -> str:
        """Slurm's job id."""
        found = _SUBMIT.search(response.out)
        if response.exit_code == 0 and found is not None:
            return "" if found[1] == "none" else found[1]
        if response.exit_code == 0:
            raise Transient("the host gave no answer to the job's order")
        raise trouble(response, "handing over the job")

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs. The scheduler is asked at most once in `query_s`, whoever asks."""
        options = self._options
        nap = max(1, round(options.look_s * 10))
        words = (str(round(wait_s * 10)), str(options.log_tail_bytes), str(max(1, round(options.query_s))), str(nap))
        return RemoteRequest("slurm_poll", (self._root, *words), token_lines(tuple(tokens)))

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for each token; UNKNOWN for whatever neither the job's own word nor the scheduler's proves."""
        seen, reply = read_lines(tokens, response), read_scheduler_reply(response, skew_s=self.skew_s)
        return {token: self._status(token, seen.get(token), reply) for token in tokens}

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """A job that was seen to end before the whole answer was there."""
        seen = Observed.read(line)
        if seen is None or seen.state is not JobState.ENDED:
            return None
        status = seen.status()
        # Who sent a signal, only the scheduler knows: its word is waited for.
        return None if status.exit_code in BY_SIGNAL else (seen.token, status)

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gates that are free; cancel what of these jobs is in the queue, by name and of our account alone."""
        return RemoteRequest("slurm_cancel", (self._root,), token_lines(tuple(tokens)))

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if the scheduler took the order. The proof is the following poll's."""
        if response.exit_code != 0:
            raise trouble(response, "cancelling the job")

    def _status(self, token: str, seen: Observed | None, reply: SchedulerReply) -> JobStatus:
        if seen is None:
            return JobStatus(JobState.UNKNOWN, raw="not in the answer")
        return conclude(token, seen, reply, files_late_s=self._options.files_late_s, skew_s=self.skew_s)

    def _sbatch(self, limit: float) -> Sequence[str]:
        options = self._options
        time_s = options.time_s or limit + MARGIN_S
        named = {
            "--partition": options.partition,
            "--account": options.account,
            "--qos": options.qos,
            "--gres": options.gres,
            "--time": str(math.ceil(time_s / 60)),
            "--mem": None if options.memory_mib is None else f"{options.memory_mib}M",
            "--cpus-per-task": options.cpus,
            "--nice": options.nice,
        }
        return (*(f"{name}={value}" for name, value in named.items() if value is not None), *options.options)
