"""The checks of the configuration, run on request, one run at a time. The findings are kept until the next run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from mqi_communicator.case.faults import Fault
from mqi_communicator.web.context import DashboardContext, Finding


@dataclass(slots=True)
class CheckRuns:
    """The current or last run of the checks. Times are epoch seconds."""

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
        """Start the checks, unless they are running."""
        if not self.busy:
            self.started, self.ended, self.by, self.error_text, self.findings = time.time(), None, by, "", []
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Cancel the checks that are running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async for finding in self.context.queries.check_up():
                self.findings.append(finding)
        except Fault as fault:
            self.error_text = f"{fault.reason} {fault.advice}".strip()
        except Exception as error:  # noqa: BLE001 - an internal error here must not end the communicator
            structlog.get_logger().error("web.internal_error", where="check", error=type(error).__name__)
            self.error_text = "the checks stopped because of an internal error: report it with the log"
        self.ended = time.time()
