"""Jobs on a plain host without a scheduler: detached sessions that answer for themselves."""

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

    LOST is looked at twice inside one poll, a second apart; first whether anything lives, then whether there is an exit
    file, so that a job which ends meanwhile is never taken for a lost one. One host means one machine: what was
    started on a node of another name is UNKNOWN, not LOST.
    """

    name: Literal["direct"] = "direct"

    def __init__(self, root: str, options: DirectOptions | None = None, *, gpus: bool = False) -> None:
        self._root = workspace_root(root)
        self._options = options or DirectOptions()
        self._gpus = gpus
        self.tick_s = self._options.poll_s

    def submit(self, job: Job) -> RemoteRequest:
        """Start the job unless its gate is taken; ends when the job has taken it."""
        options = self._options
        where = "anywhere" if options.on_slurm_host else "plain"
        spec = spec_of(job, self._root, kill_grace_s=options.kill_grace_s)
        return RemoteRequest("submit", (self._root, job.token, _tenths(options.begin_wait_s), where), spec)

    def read_submit(self, response: RemoteResponse) -> str:
        """Always "": a plain host gives no id of its own."""
        if response.exit_code == 0 and "mqi-submit " in response.out:
            return ""
        if response.exit_code == 0:
            raise Transient("the host gave no answer to the job's order")
        raise trouble(response, "handing over the job")

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> RemoteRequest:
        """Observe all these jobs: about 2 ms each, a second more if one seems lost. Then, for `wait_s`, each end."""
        words = (self._root, _tenths(wait_s), str(self._options.log_tail_bytes))
        return RemoteRequest("poll", (*words, "gpus") if self._gpus else words, token_lines(tuple(tokens)))

    def read_poll(self, tokens: Sequence[str], response: RemoteResponse) -> Mapping[str, JobStatus]:
        """A status for each token; UNKNOWN for whatever the answer does not prove."""
        return read_observations(tokens, response)

    def read_line(self, line: str) -> tuple[str, JobStatus] | None:
        """A job that was told of before the whole answer was there; None for any other line."""
        return read_early_line(line)

    def cancel(self, tokens: Sequence[str]) -> RemoteRequest:
        """Bar the gates that are free; end what lives of the other jobs and look until it is gone.

        Takes at most the grace and five seconds more, however many they are.
        """
        return RemoteRequest("cancel", (self._root, _tenths(self._options.kill_grace_s)), token_lines(tuple(tokens)))

    def read_cancel(self, response: RemoteResponse) -> None:
        """Return if nothing of them lives any more. Transient otherwise."""
        if response.exit_code != 0:
            raise trouble(response, "ending the job")


def _tenths(seconds: float) -> str:
    return str(max(0, round(seconds * 10)))
