"""One status query per host and interval, whatever the number of jobs; every follower of a job reads its result.

The query waits on the host for one interval and reports each job as soon as it ends. So an end is known at once, and
no host is polled more often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

from mqi_communicator.case.faults import Fault, Unreachable
from mqi_communicator.case.model import Status
from mqi_communicator.compute.gpus import Inventory, read_inventory
from mqi_communicator.compute.scheduler import JobState, JobStatus, Scheduler
from mqi_communicator.flow.hosts.guard import GuardedHost
from mqi_communicator.store import hosts, jobs, work_items
from mqi_communicator.store.database import Database

OVER = (JobState.ENDED, JobState.LOST, JobState.BARRED, JobState.ABSENT)
STOPPED = "mqi-stopped"


class JobPoller:
    """Polls all jobs that hold a slot of a host, and its GPUs, and keeps the last result."""

    def __init__(
        self,
        host: GuardedHost,
        scheduler: Scheduler,
        database: Database,
        *,
        slots: int = 1,
        gpus: Inventory | None = None,
        query_gpus: bool = False,
    ) -> None:
        self._host = host
        self._scheduler = scheduler
        self._database = database
        self._interval_s = scheduler.tick_s
        self._slots = slots
        self._query_gpus = query_gpus
        self.gpus = gpus or Inventory(trouble="not queried yet")
        self._statuses: dict[str, JobStatus] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._unknown_since: dict[str, float] = {}  # by token, monotonic seconds: no poll has proved anything since
        self._polling: asyncio.Task[None] | None = None
        self._polled_at = -self._interval_s  # when the last poll began

    async def status(self, token: str) -> JobStatus | None:
        """The last known status of a job, at most one interval old; None if it was submitted after the last poll.

        Returns as soon as the job has ended, or when the poll under way is complete.
        """
        if self._is_due():
            self._start()
        polling, event = self._polling, self._ended.setdefault(token, asyncio.Event())
        if polling is not None and not event.is_set():
            ends = asyncio.ensure_future(event.wait())
            try:
                await asyncio.wait({polling, ends}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ends.cancel()
            if polling.done() and not event.is_set():
                polling.result()  # raise its fault
        return self._statuses.get(token)

    def forget(self, token: str) -> None:
        """Drop what is known of a job that is no longer followed."""
        self._statuses.pop(token, None)
        self._ended.pop(token, None)
        self._unknown_since.pop(token, None)

    def unknown_s(self, token: str, state: JobState) -> float:
        """For how many seconds no poll has proved what became of this job, given its last state. An outage or a restart
        in between starts the count again."""
        if state not in (JobState.UNKNOWN, JobState.ABSENT):
            self._unknown_since.pop(token, None)
            return 0.0
        now = time.monotonic()
        return now - self._unknown_since.setdefault(token, now)

    async def ensure_polled(self) -> None:
        """Start a poll if the last one is an interval old. Waits for it, up to 2 s, only where nothing is known of the
        GPUs yet. Releases the slots of jobs that are no longer followed."""
        if self._is_due():
            self._start()
        if self._query_gpus and self.gpus.trouble and self._polling is not None:
            await asyncio.wait({self._polling}, timeout=2.0)

    def next_poll_s(self) -> float:
        """Seconds until the next poll."""
        return max(0.05, self._interval_s - (time.monotonic() - self._polled_at))

    async def poll(self, *tokens: str) -> Mapping[str, JobStatus]:
        """Poll these jobs now: before a new run, and to prove a cancellation."""
        answer = await self._host.request(self._scheduler.poll(tokens), deadline=60.0 + 0.5 * len(tokens))
        return self._scheduler.read_poll(tokens, answer)

    async def close(self) -> None:
        """Cancel the poll under way."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    def _is_due(self) -> bool:
        over = self._polling is None or self._polling.done()
        return over and time.monotonic() - self._polled_at >= self._interval_s

    def _start(self) -> None:
        self._polled_at = time.monotonic()
        self._polling = asyncio.create_task(self._poll_all())
        self._polling.add_done_callback(_consume_fault)

    async def _poll_all(self) -> None:
        active = await self._database.read(jobs.active, self._host.name)
        # A job that is being submitted may appear absent, which proves nothing.
        held = [job for job in active if job.state != jobs.CLAIMED or await self._is_abandoned(job)]
        tokens = tuple(job.token for job in held)
        if not tokens and not self._query_gpus:
            return
        wait = self._interval_s if tokens else 0.0
        deadline = 60.0 + 0.5 * len(tokens) + wait
        request = self._scheduler.poll(tokens, wait)
        try:
            answer = await self._host.request(request, deadline=deadline, on_line=self._on_line, stays_s=wait)
        except Unreachable:
            self._unknown_since.clear()
            raise
        for token, status in self._scheduler.read_poll(tokens, answer).items():
            self._record(token, status)
        if self._query_gpus:
            self.gpus = read_inventory(answer)
        await self._release_ended(held)
        await self._database.write(hosts.save, self._host.name, time.time(), self._state(len(active), answer.out))

    def _on_line(self, line: str) -> None:
        if progress := self._scheduler.read_line(line):
            self._record(*progress)

    def _record(self, token: str, status: JobStatus) -> None:
        """Keep the status of a job. An end that was reported stays known, even if the rest of the answer is lost."""
        before = self._statuses.get(token)
        if before is not None and before.state is JobState.ENDED and status.state is JobState.UNKNOWN:
            return
        self._statuses[token] = status
        if status.state in (JobState.ENDED, JobState.LOST):
            self._ended.setdefault(token, asyncio.Event()).set()

    def _state(self, taken: int, out: str) -> dict[str, object]:
        gpus = [
            {"index": one.index, "name": one.name, "total_mib": one.total_mib, "used_mib": one.used_mib,
             "percent": one.percent, "celsius": one.celsius, "ours_mib": one.ours_mib, "foreign": len(one.foreign)}
            for one in self.gpus.gpus
        ]  # fmt: skip
        stopped = STOPPED in out.split("\n")
        return {
            "taken": taken,
            "slots": self._slots,
            "gpus": gpus,
            "gpu_trouble": self.gpus.trouble if self._query_gpus else "",
            "stopped": stopped,
        }

    async def _release_ended(self, held: list[jobs.JobRow]) -> None:
        """Release the slots of jobs that have provably ended and are no longer followed."""
        for job in held:
            status = self._statuses.get(job.token)
            if status is not None and status.state in OVER and await self._is_abandoned(job):
                await self._database.write(jobs.change, job.token, active=False)
                await self._database.write(jobs.wake_queue, job.host, self._slots, time.time())
                self.forget(job.token)

    async def _is_abandoned(self, job: jobs.JobRow) -> bool:
        """Whether no beam follows this job or will submit it."""
        item = await self._database.read(work_items.get, job.case, job.beam)
        return item.status.ended or item.status is Status.HELD or item.run != job.run


def _consume_fault(task: asyncio.Task[None]) -> None:
    """Ignore the fault of a poll that nobody awaited: the next poll reports it again."""
    with suppress(asyncio.CancelledError, Fault):
        task.result()
