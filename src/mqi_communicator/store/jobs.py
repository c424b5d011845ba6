"""Jobs: which run of which beam holds a slot of which host, and what was last seen of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Row, and_, func, select, update

from mqi_communicator.case.model import CASE_ITEM
from mqi_communicator.store.schema import batched, cases, jobs, work_items
from mqi_communicator.store.work_items import NOT_ENDED

WANTED = "wanted"  # the state of a job that wants a place and has none: it was never handed over
CLAIMED = "claimed"  # the state of a job that holds a place and was not handed over yet, as far as we know
BEFORE_THE_BEAMS = ("admit", "prepare", "upload")  # while a case stands there, none of its beams can begin


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
    """What a host has for jobs of ours. `gpus` are those that nobody else uses; None: jobs there need none.

    `most`, `least`: how many GPUs this job can make use of, and with how few it begins.
    """

    slots: int
    gpus: tuple[str, ...] | None = None
    most: int = 0
    least: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job got no place. `taken`: slots held; `ahead`: beams that go first; `gpus`: how many are free for us."""

    taken: int
    ahead: int
    gpus: int | None = None


def claim(connection: Connection, job: JobRow, room: HostCapacity) -> JobRow | Refusal:
    """Take one of the host's slots, and GPUs, for this token, once, when it is its turn. Returns the row that holds."""
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
    free = None if room.gpus is None else [name for name in room.gpus if name not in leased]
    queue = queued(connection, job.host)
    ahead = queue.index(job.token) if job.token in queue else len(queue)
    places = room.slots - len(held)
    if free is not None:
        places = min(places, len(free) // max(room.least, 1))
    if places <= ahead:
        return Refusal(len(held), ahead, None if free is None else len(free))
    share = 0 if free is None else max(room.least, min(room.most, len(free) // max(len(queue), 1)))
    mine = ",".join((free or [])[:share])
    change(connection, job.token, state=CLAIMED, active=True, gpus=mine, claimed=job.claimed)
    return replace(known or job, state=CLAIMED, active=True, gpus=mine, claimed=job.claimed)


def queued(connection: Connection, host: str) -> list[str]:
    """The tokens that want a place on this host and could use one, in the order in which they get one."""
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


def change(connection: Connection, token: str, /, **values: object) -> None:
    """Set columns of one job. `products` is given as a mapping."""
    if "products" in values:
        values["products"] = json.dumps(values["products"])
    connection.execute(update(jobs).where(jobs.c.token == token).values(**values))


def get(connection: Connection, token: str) -> JobRow | None:
    """The job of a token, None if none was ever claimed."""
    row = connection.execute(select(jobs).where(jobs.c.token == token)).one_or_none()
    return None if row is None else _job(row)


def active(connection: Connection, host: str) -> list[JobRow]:
    """The jobs that hold a slot of this host."""
    return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.host == host, jobs.c.active))]


def held(connection: Connection) -> int:
    """How many jobs hold a slot of any host."""
    return int(connection.execute(select(func.count()).select_from(jobs).where(jobs.c.active)).scalar_one())


def of_case(connection: Connection, case: str) -> list[JobRow]:
    """All jobs a case ever had, by beam and run."""
    return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.case == case).order_by("beam", "run"))]


def of_cases(connection: Connection, keys: Sequence[str]) -> dict[str, list[JobRow]]:
    """All jobs that several cases ever had, by case."""
    found: dict[str, list[JobRow]] = {key: [] for key in keys}
    for part in batched(keys):
        for row in connection.execute(select(jobs).where(jobs.c.case.in_(part))):
            found[row.case].append(_job(row))
    return found


def durations(connection: Connection, host: str, limit: int = 50) -> list[float]:
    """How long the last jobs of this host took that ended with exit code 0, in s, newest first."""
    query = (
        select(jobs.c.started, jobs.c.ended)
        .where(jobs.c.host == host, jobs.c.exit_code == 0, jobs.c.started.is_not(None), jobs.c.ended.is_not(None))
        .order_by(jobs.c.ended.desc())
        .limit(limit)
    )
    return [row.ended - row.started for row in connection.execute(query)]


def presume_lost(connection: Connection, case: str, beam: int, run: int, who: str) -> None:
    """A person answers for it that these jobs of a beam, up to this run, are dead."""
    here = (jobs.c.case == case, jobs.c.beam == beam, jobs.c.run <= run, jobs.c.state != "ended")
    connection.execute(update(jobs).where(*here).values(state="lost", active=False, raw=f"by the word of {who}"))
