"""The job that computes one beam with MCsquare."""

from __future__ import annotations

from collections.abc import Mapping

from mqi_communicator.case.work import Program, Work
from mqi_communicator.dose.engine import Accepted, JobRequest, Progress, Refused
from mqi_communicator.dose.mcsquare import runlog
from mqi_communicator.dose.mcsquare.options import MCsquareOptions


class MCsquareJob:
    """See `BeamJob`."""

    def __init__(self, options: MCsquareOptions, request: JobRequest) -> None:
        self._options, self._beam = options, request.beam

    def work(self) -> Work:
        """One program. The engine needs its output folder to exist; the expected dose size ends the log."""
        home, number = self._options.home.rstrip("/"), int(self._beam)
        engine = Program(
            "mcsquare",
            (f"{home}/MCsquare_linux", f"../../input/beam-{number}/config.txt"),
            env=(("MCsquare_Materials_Dir", f"{home}/Materials"),),
        )
        return Work(
            (engine,),
            (runlog.HEADER, runlog.DOSE),
            self._options.time_limit_s,
            folders=("Outputs",),
            shown=("../../input/common/expected.txt",),
        )

    def progress(self, log_tail: str) -> Progress:
        """The engine's percentage and uncertainty so far."""
        return runlog.read_progress(log_tail, self._options.target_uncertainty)

    def judge(self, exit_code: int, log_tail: str, products: Mapping[str, int]) -> Accepted | Refused:
        """Exit code, errors, end mark and sizes together."""
        return runlog.judge(exit_code, log_tail, products, int(self._beam))
