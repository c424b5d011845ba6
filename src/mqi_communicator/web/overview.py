"""The data of the first page: current cases in groups, hosts with GPUs, jobs and breakers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mqi_communicator.case.states import GROUP_TITLES, Group
from mqi_communicator.case.times import midnight
from mqi_communicator.case.views import CaseView, group_of
from mqi_communicator.case.visible import visible
from mqi_communicator.store import breakers, cases, history, hosts, jobs, work_items
from mqi_communicator.web.context import DashboardContext

RECENT = 10  # recently completed cases that are shown
MOST = 200  # open cases that are shown; the rest is counted


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job that occupies a job slot of a host."""

    case: str
    beam: int
    run: int
    state: str
    percent: float | None
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host, as of its last response."""

    name: str
    seen: float | None  # epoch seconds
    taken: int
    slots: int | None
    stopped: bool
    gpus: tuple[dict[str, Any], ...]
    gpu_trouble: str
    jobs: tuple[JobStatus, ...]
    breakers: dict[str, dict[str, Any]]  # kind of work -> state, why, probe_at

    @property
    def breaker_open(self) -> bool:
        """Whether a circuit breaker of this host is open."""
        return any(one["state"] != "closed" for one in self.breakers.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """The state at one time."""

    at: float
    overdue_s: float  # how long work has been due without being done
    groups: dict[Group, list[CaseView]]  # without those to review, which are a list of their own
    beyond: int  # open cases that are not shown
    recent: list[CaseView]
    today: dict[str, int]  # status -> cases; of completed cases, those of today
    hosts: list[HostStatus]


@dataclass(slots=True)
class Overviews:
    """Caches the overview, so that ten open pages cost as much as one."""

    context: DashboardContext
    _kept: Overview | None = None
    _mark: object = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, mark: object) -> Overview:
        """The overview; at most a second old, and read again when `mark` has changed."""
        async with self._lock:
            now = time.time()
            if self._kept is not None and self._mark == mark and now - self._kept.at < 1.0:
                return self._kept
            self._kept = await self.context.database.read(overview, self.context, now)
            self._mark = mark
            return self._kept


def overview(connection: Any, context: DashboardContext, now: float) -> Overview:
    """The overview, in one read of the store."""
    live = cases.unfinished(connection)
    failed = history.recently_failed(connection, now)
    seen = context.queries.view(connection, [*live[:MOST], *failed], now)
    groups: dict[Group, list[CaseView]] = {group: [] for group in GROUP_TITLES if group != "to_review"}
    for case in seen:
        if (group := group_of(case)) in groups:
            groups[group].append(case)
    coming = work_items.next_due(connection)
    recent = history.last_ended(connection, ("done", "cancelled"), RECENT)
    return Overview(
        at=now,
        overdue_s=0.0 if coming is None else max(0.0, now - coming),
        groups=groups,
        beyond=max(0, len(live) - MOST),
        recent=context.queries.view(connection, recent, now),
        today=history.counts(connection, midnight(now)),
        hosts=host_statuses(connection, context.hosts),
    )


def host_statuses(connection: Any, names: Sequence[str]) -> list[HostStatus]:
    """The configured hosts, as of their last responses."""
    known, kept = hosts.load(connection), breakers.load(connection)
    found = []
    for name in names:
        at, state = known.get(name, (None, {}))
        held = jobs.active(connection, name)
        states = {kind: json.loads(kept[f"{name}:{kind}"]) for kind in ("commands", "bulk") if f"{name}:{kind}" in kept}
        found.append(
            HostStatus(
                name=name,
                seen=at,
                taken=len(held),
                slots=state.get("slots") if isinstance(state.get("slots"), int) else None,  # type: ignore[arg-type]
                stopped=bool(state.get("stopped")),
                gpus=tuple(state.get("gpus") or ()),  # type: ignore[arg-type]
                gpu_trouble=str(state.get("gpu_trouble") or ""),
                jobs=tuple(
                    JobStatus(
                        job.case, job.beam, job.run, job.state, job.percent, tuple(filter(None, job.gpus.split(",")))
                    )
                    for job in held
                ),
                breakers={
                    kind: {"state": one["state"], "why": visible(one["why"]), "probe_at": one["probe_at"]}
                    for kind, one in states.items()
                },
            )
        )
    return found
