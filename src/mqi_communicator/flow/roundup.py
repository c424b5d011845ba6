"""One status query per host and tick, whatever the number of jobs: everybody who follows a job reads the last one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from mqi_communicator.case.model import Status
from mqi_communicator.compute.scheduler import JobState, JobStatus, Scheduler
from mqi_communicator.remote.host import Host
from mqi_communicator.store import jobs, lines
from mqi_communicator.store.database import Database

OVER = (JobState.ENDED, JobState.LOST, JobState.BARRED, JobState.ABSENT)


class Roundup:
    """The last look at all jobs of a host that hold a slot."""

    def __init__(self, host: Host, scheduler: Scheduler, database: Database, *, every_s: float) -> None:
        self._host = host
        self._scheduler = scheduler
        self._database = database
        self._every = every_s
        self._lock = asyncio.Lock()
        self._seen: Mapping[str, JobStatus] = {}
        self._at = 0.0  # when the last look began
        self._answered = 0.0  # and when it was answered: whoever came before that shares it

    async def look(self, token: str) -> JobStatus | None:
        """What was last seen of a job, at most one tick old; None if it was submitted after the last look."""
        await self.tend()
        return self._seen.get(token)

    async def tend(self) -> None:
        """Give back the slots of jobs that nobody follows any more, if the last look is a tick old."""
        came = time.monotonic()
        async with self._lock:
            if self._answered < came and time.monotonic() - self._at >= self._every:
                await self._ask_for_all()

    def pause(self) -> float:
        """Seconds until the next look."""
        return max(0.05, self._every - (time.monotonic() - self._at))

    async def ask(self, *tokens: str, wait_s: float = 0.0) -> Mapping[str, JobStatus]:
        """A look at these jobs now: before a new run, and for the proof of a cancellation."""
        deadline = 30.0 + 0.5 * len(tokens) + wait_s
        finished = await self._host.run(self._scheduler.poll(tokens, wait_s), deadline=deadline)
        return self._scheduler.read_poll(tokens, finished.exit_code, finished.out)

    async def _ask_for_all(self) -> None:
        active = await self._database.read(jobs.active, self._host.name)
        # A job that is being submitted at this moment may be seen as absent: nothing is to be concluded from that.
        held = [job for job in active if job.state != jobs.CLAIMED or await self._left_behind(job)]
        tokens = tuple(job.token for job in held)
        self._at = time.monotonic()
        self._seen = await self.ask(*tokens, wait_s=self._every) if tokens else {}
        self._answered = time.monotonic()
        await self._let_go(held)

    async def _let_go(self, held: list[jobs.JobRow]) -> None:
        """Give back the slots of jobs that have ended by evidence and that no line follows now."""
        for job in held:
            if self._seen[job.token].state in OVER and await self._left_behind(job):
                await self._database.write(jobs.change, job.token, active=False)
                await self._database.write(lines.poke_step, "submit", time.time())

    async def _left_behind(self, job: jobs.JobRow) -> bool:
        """Whether no line follows this job, or will submit it."""
        line = await self._database.read(lines.get, job.case, job.beam)
        return line.status.ended or line.status is Status.HELD or line.run != job.run
