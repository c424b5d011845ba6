"""The job that computes one beam with moqui."""

from __future__ import annotations

from collections.abc import Mapping

from mqi_communicator.case.work import Work
from mqi_communicator.dose.engine import Accepted, JobRequest, Progress, Refused
from mqi_communicator.dose.moqui import runlog
from mqi_communicator.dose.moqui.programs import Programs
from mqi_communicator.dose.moqui.progress import read_progress


class MoquiJob:
    """See `BeamJob`."""

    def __init__(self, programs: Programs, request: JobRequest) -> None:
        self._programs, self._request = programs, request

    def work(self) -> Work:
        """The site's steps, and between them moqui once per seed."""
        return self._programs.work(self._request.beam, self._request.gpus)

    def progress(self, log_tail: str) -> Progress:
        """How far the runs are, from their batches; moqui reports no uncertainty."""
        return read_progress(self._programs.layout(self._request.beam), log_tail)

    def judge(self, exit_code: int, log_tail: str, products: Mapping[str, int]) -> Accepted | Refused:
        """Reported errors, exit code, histories, end marks and sizes together."""
        return runlog.judge(self._programs.layout(self._request.beam), exit_code, log_tail, products)
