"""Jobs through Slurm: few scheduler queries; ends are seen on the shared file system; absence is not an end."""

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
MARGIN_S = 600  # between the engine's own limit and the scheduler's, so that the job can still record how it ended
LEAST_S = 60


class SlurmScheduler:
    """A Scheduler for a cluster. `root` is the absolute path of the workspace, on a file system that nodes share."""

    name: Literal["slurm"] = "slurm"
    skew_s = 60.0  # assumed maximum difference between the clocks of nodes

    def __init__(self, root: str, options: SlurmOptions | None = None) -> None:
        self._root = workspace_root(root)
        self._options = options or SlurmOptions()
        self.tick_s = self._options.query_s

    def submit(self, job: Job) -> RemoteRequest:
        """Submit the job with sbatch unless its gate is taken or the queue or the accounting lists its name."""
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
            raise Transient("the host did not confirm the submission of the job")
        raise trouble(response, "submitting the job")

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs. The scheduler is queried at most once per `query_s`, whoever calls."""
        options = self._options
        nap = max(1, round(options.look_s * 10))
        words = (str(round(wait_s * 10)), str(options.log_tail_bytes), str(max(1, round(options.query_s))), str(nap))
        return RemoteRequest("slurm_poll", (self._root, *words), token_lines(tuple(tokens)))

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for each token; UNKNOWN unless the job's own record or the scheduler proves another state."""
        seen, reply = read_lines(tokens, response), read_scheduler_reply(response, skew_s=self.skew_s)
        return {token: self._status(token, seen.get(token), reply) for token in tokens}

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """The status of a job whose end was reported before the response was complete."""
        seen = Observed.read(line)
        if seen is None or seen.state is not JobState.ENDED:
            return None
        status = seen.status()
        # Only the scheduler knows who sent a signal: wait for its report.
        return None if status.exit_code in BY_SIGNAL else (seen.token, status)

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gates that are free; cancel these jobs in the queue, by name and only those of our account."""
        return RemoteRequest("slurm_cancel", (self._root,), token_lines(tuple(tokens)))

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if the scheduler accepted the request. The next poll proves the end."""
        if response.exit_code != 0:
            raise trouble(response, "cancelling the job")

    def _status(self, token: str, seen: Observed | None, reply: SchedulerReply) -> JobStatus:
        if seen is None:
            return JobStatus(JobState.UNKNOWN, raw="not in the response")
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
