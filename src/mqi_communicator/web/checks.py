"""The checks of the configuration, run on request and one at a time; what they found stays until the next time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from mqi_communicator.case.faults import Fault
from mqi_communicator.web.context import DashboardContext, Finding


@dataclass(slots=True)
class CheckRuns:
    """The last time the checks ran. Times are epoch seconds."""

    context: DashboardContext
    started: float | None = None
    ended: float | None = None
    by: str = ""
    error_text: str = ""
    findings: list[Finding] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether the checks are running now."""
        return self._task is not None and not self._task.done()

    def begin(self, by: str) -> None:
        """Run the checks, unless they are running."""
        if not self.busy:
            self.started, self.ended, self.by, self.error_text, self.findings = time.time(), None, by, "", []
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Give up the checks that are running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async for finding in self.context.queries.check_up():
                self.findings.append(finding)
        except Fault as fault:
            self.error_text = f"{fault.reason} {fault.advice}".strip()
        except Exception as error:  # noqa: BLE001 - a mistake of ours here must not end the communicator
            structlog.get_logger().error("web.internal_error", where="check", error=type(error).__name__)
            self.error_text = "the checks stopped by a mistake of ours: report this with the log"
        self.ended = time.time()
