"""Jobs: which run of which beam holds a slot of which host, and what was last seen of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, func, select, update

from mqi_communicator.store.schema import jobs

CLAIMED = "claimed"  # the state of a job that holds a slot and was not submitted yet, as far as we know


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


def _job(row: Row[tuple[object, ...]]) -> JobRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    products = {path: (size, digest) for path, (size, digest) in json.loads(values["products"]).items()}
    return JobRow(**{**values, "products": products})


def claim(connection: Connection, job: JobRow, slots: int) -> int:
    """Take one of the host's slots for this token, once. Returns 0 when it holds one, else how many are taken."""
    known = connection.execute(select(jobs.c.active).where(jobs.c.token == job.token)).scalar_one_or_none()
    if known:
        return 0
    taken = connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.host == job.host, jobs.c.active)
    ).scalar_one()
    if taken >= slots:
        return int(taken)
    if known is None:
        values = {name: getattr(job, name) for name in JobRow.__slots__}
        connection.execute(jobs.insert().values(**values | {"products": json.dumps(dict(job.products))}))
    else:
        connection.execute(update(jobs).where(jobs.c.token == job.token).values(active=True))
    return 0


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


def of_case(connection: Connection, case: str) -> list[JobRow]:
    """All jobs a case ever had, by beam and run."""
    return [_job(row) for row in connection.execute(select(jobs).where(jobs.c.case == case).order_by("beam", "run"))]
