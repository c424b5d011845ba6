"""Jobs on a plain host without a scheduler: detached sessions that record their own state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from mqi_communicator.case.faults import Transient
from mqi_communicator.case.request import RemoteRequest, RemoteResponse, trouble
from mqi_communicator.compute.job import Job, spec_of, token_lines, workspace_root
from mqi_communicator.compute.observed import read_early_line, read_observations
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import JobStatus


class DirectScheduler:
    """A Scheduler for one host without one. `root` is the absolute path of the workspace there.

    LOST is checked twice within one poll, a second apart: first whether any process is alive, then whether there is an
    exit file, so that a job which ends meanwhile is never reported as lost. One host means one machine: a job that was
    started on a node of another name is UNKNOWN, not LOST.
    """

    name: Literal["direct"] = "direct"

    def __init__(self, root: str, options: DirectOptions | None = None, *, gpus: bool = False) -> None:
        self._root = workspace_root(root)
        self._options = options or DirectOptions()
        self._gpus = gpus
        self.tick_s = self._options.poll_s

    def submit(self, job: Job) -> RemoteRequest:
        """Start the job unless its gate is taken; the verb returns when the job has taken it."""
        options = self._options
        where = "anywhere" if options.on_slurm_host else "plain"
        spec = spec_of(job, self._root, kill_grace_s=options.kill_grace_s)
        return RemoteRequest("submit", (self._root, job.token, _tenths(options.begin_wait_s), where), spec)

    def read_submit(self, response: RemoteResponse) -> str:
        """Always "": a plain host assigns no id."""
        if response.exit_code == 0 and "mqi-submit " in response.out:
            return ""
        if response.exit_code == 0:
            raise Transient("the host did not confirm the submission of the job")
        raise trouble(response, "submitting the job")

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs: about 2 ms each, a second more if one seems lost. Then report ends for `wait_s`."""
        words = (self._root, _tenths(wait_s), str(self._options.log_tail_bytes))
        return RemoteRequest("poll", (*words, "gpus") if self._gpus else words, token_lines(tuple(tokens)))

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for each token; UNKNOWN unless the response proves another state."""
        return read_observations(tokens, response)

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """The status of a job that was reported before the response was complete; None for any other line."""
        return read_early_line(line)

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gates that are free; end the other jobs and wait until their processes are gone.

        Takes at most the grace period and five seconds, however many jobs there are.
        """
        return RemoteRequest("cancel", (self._root, _tenths(self._options.kill_grace_s)), token_lines(tuple(tokens)))

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if no process of the jobs is alive. Transient otherwise."""
        if response.exit_code != 0:
            raise trouble(response, "ending the job")


def _tenths(seconds: float) -> str:
    return str(max(0, round(seconds * 10)))
