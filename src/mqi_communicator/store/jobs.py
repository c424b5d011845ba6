"""Jobs: which run of which beam holds a job slot of which host, and its last known state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Row, and_, func, select, update

from mqi_communicator.case.model import CASE_ITEM
from mqi_communicator.store.schema import batched, cases, jobs, work_items
from mqi_communicator.store.work_items import NOT_ENDED

WANTED = "wanted"  # state of a job that waits for a job slot: not submitted
CLAIMED = "claimed"  # state of a job that holds a job slot and, as far as known, was not submitted
BEFORE_THE_BEAMS = ("admit", "prepare", "upload")  # while a case is at one of these steps, none of its beams can start


@dataclass(frozen=True, slots=True)
class JobRow:
    """One row of `jobs`."""

    token: str
    case: str
    beam: int
    run: int
    host: str
    state: str
    active: bool
    claimed: float
    scheduler_id: str = ""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    percent: float | None = None
    uncertainty: float | None = None
    products: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    raw: str = ""
    gpus: str = ""


def _job(row: Row[tuple[object, ...]]) -> JobRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    products = {path: (size, digest) for path, (size, digest) in json.loads(values["products"]).items()}
    return JobRow(**{**values, "products": products})


@dataclass(frozen=True, slots=True)
class HostCapacity:
    """What a host offers to our jobs. `gpus` are those not used by others; None: jobs on this host need none.

    `most`, `least`: how many GPUs this job can use, and the fewest it starts with.
    """

    slots: int
    gpus: tuple[str, ...] | None = None
    most: int = 0
    least: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job got no slot. `in_use`: slots in use; `ahead`: beams that are queued before it; `gpus`: free GPUs."""

    in_use: int
    ahead: int
    gpus: int | None = None


def claim(connection: Connection, job: JobRow, capacity: HostCapacity) -> JobRow | Refusal:
    """Lease a job slot of the host, and GPUs, to this token if it is first in the queue. Idempotent."""
    known = get(connection, job.token)
    if known is not None and known.active:
        return known
    if known is None:
        values = {name: getattr(job, name) for name in JobRow.__slots__}
        values |= {"state": WANTED, "active": False, "products": json.dumps(dict(job.products))}
        connection.execute(jobs.insert().values(**values))
    elif known.state == CLAIMED:
        change(connection, job.token, state=WANTED)
    held = active(connection, job.host)
    leased = {name for one in held for name in one.gpus.split(",") if name}
    free = None if capacity.gpus is None else [name for name in capacity.gpus if name not in leased]
    queue = queued(connection, job.host)
    ahead = queue.index(job.token) if job.token in queue else len(queue)
    free_slots = capacity.slots - len(held)
    if free is not None:
        free_slots = min(free_slots, len(free) // max(capacity.least, 1))
    if free_slots <= ahead:
        return Refusal(len(held), ahead, None if free is None else len(free))
    share = 0 if free is None else max(capacity.least, min(capacity.most, len(free) // max(len(queue), 1)))
    mine = ",".join((free or [])[:share])
    change(connection, job.token, state=CLAIMED, active=True, gpus=mine, claimed=job.claimed)
    return replace(known or job, state=CLAIMED, active=True, gpus=mine, claimed=job.claimed)


def queued(connection: Connection, host: str) -> list[str]:
    """The tokens that wait for a slot of this host and could use one, in queue order."""
    own = work_items.alias("own")
    query = (
        select(jobs.c.token)
        .join(
            work_items,
            and_(work_items.c.case == jobs.c.case, work_items.c.beam == jobs.c.beam, work_items.c.run == jobs.c.run),
        )
        .join(own, and_(own.c.case == jobs.c.case, own.c.beam == CASE_ITEM))
        .join(cases, cases.c.key == jobs.c.case)
        .where(jobs.c.host == host, jobs.c.state == WANTED, ~jobs.c.active)
        .where(work_items.c.step == "submit", work_items.c.status.in_(("ready", "waiting")), work_items.c.wanted == "")
        .where(own.c.step.not_in(BEFORE_THE_BEAMS), own.c.status.in_(NOT_ENDED))
        .order_by(cases.c.rank, cases.c.key, jobs.c.beam)
    )
    return list(connection.execute(query).scalars())


def wake_queue(connection: Connection, host: str, slots: int, now: float, but: str = "") -> None:
    """Make the first beams due that wait for a slot of this host: as many as it has slots, and one in case that the
    first fails. `but`: the token of one whose step has just given a slot back."""
    tokens = [token for token in queued(connection, host) if token != but][: slots + 1]
    first = select(jobs.c.case, jobs.c.beam).where(jobs.c.token.in_(tokens))
    for row in connection.execute(first).all():
        here = and_(work_items.c.case == row.case, work_items.c.beam == row.beam)
        connection.execute(update(work_items).where(here).values(due=now))


def change(connection: Connection, token: str, /, **values: object) -> None:
    """Set columns of one job. `products` is given as a mapping."""
    if "products" in values:
        values["products"] = json.dumps(values["products"])
    connection.execute(update(jobs).where(jobs.c.token == token).values(**values))


def get(connection: Connection, token: str) -> JobRow | None:
    """The job of a token, None if it was never claimed."""
    row = connection.execute(select(jobs).where(jobs.c.token == token)).one_or_none()
    return None if row is None else _job(row)


def active(connection: Connection, host: str) -> list[JobRow]:
    """The jobs that hold a job slot of this host."""
    return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.host == host, jobs.c.active))]


def count_active(connection: Connection) -> int:
    """How many jobs hold a job slot of any host."""
    return int(connection.execute(select(func.count()).select_from(jobs).where(jobs.c.active)).scalar_one())


def of_case(connection: Connection, case: str) -> list[JobRow]:
    """All jobs of a case, by beam and run."""
    return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.case == case).order_by("beam", "run"))]


def of_cases(connection: Connection, keys: Sequence[str]) -> dict[str, list[JobRow]]:
    """All jobs of several cases, by case."""
    found: dict[str, list[JobRow]] = {key: [] for key in keys}
    for part in batched(keys):
        for row in connection.execute(select(jobs).where(jobs.c.case.in_(part))):
            found[row.case].append(_job(row))
    return found


def durations(connection: Connection, host: str, limit: int = 50) -> list[float]:
    """Durations of the last jobs of this host with exit code 0, in s, newest first."""
    query = (
        select(jobs.c.started, jobs.c.ended)
        .where(jobs.c.host == host, jobs.c.exit_code == 0, jobs.c.started.is_not(None), jobs.c.ended.is_not(None))
        .order_by(jobs.c.ended.desc())
        .limit(limit)
    )
    return [row.ended - row.started for row in connection.execute(query)]


def presume_lost(connection: Connection, case: str, beam: int, run: int, who: str) -> None:
    """Record an operator's declaration that the jobs of a beam, up to this run, are lost."""
    here = (jobs.c.case == case, jobs.c.beam == beam, jobs.c.run <= run, jobs.c.state != "ended")
    connection.execute(update(jobs).where(*here).values(state="lost", active=False, raw=f"declared lost by {who}"))
