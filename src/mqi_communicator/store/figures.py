"""The numbers of each verdict, stored beside the cases so that a trend need not open 100 000 folders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from mqi_communicator.case.figure import Figure
from mqi_communicator.store.schema import batched, cases, figures


def save(connection: Connection, case: str, found: Iterable[Figure]) -> None:
    """Write the figures of a case in place of those of an earlier judgement."""
    connection.execute(figures.delete().where(figures.c.case == case))
    if rows := [asdict(figure) for figure in found]:
        connection.execute(figures.insert(), rows)


def machines(connection: Connection) -> list[str]:
    """The machines that have figures, by name. A loose index scan: one step a machine, whatever the number of cases."""
    found: list[str] = []
    while True:
        query = select(figures.c.machine).order_by(figures.c.machine).limit(1)
        if found:
            query = query.where(figures.c.machine > found[-1])
        following = connection.execute(query).scalar_one_or_none()
        if following is None:
            return found
        found.append(following)


def trend(
    connection: Connection, machine: str, name: str, scope: str = "plan", limit: int = 200, before: float = math.inf
) -> list[Figure]:
    """The last figures of one check on one machine, judged before a time, oldest first. No constancy samples."""
    here = (figures.c.machine == machine, figures.c.name == name, figures.c.scope == scope)
    query = (
        select(figures)
        .join(cases, cases.c.key == figures.c.case)
        .where(*here, figures.c.value.is_not(None), figures.c.at < before, cases.c.constancy == "")
        .order_by(figures.c.at.desc())
        .limit(limit)
    )
    rows = [Figure(**dict(row._mapping)) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
    return rows[::-1]


def of_cases(connection: Connection, keys: Sequence[str]) -> list[Figure]:
    """All figures of several cases."""
    found: list[Figure] = []
    for part in batched(keys):
        rows = connection.execute(select(figures).where(figures.c.case.in_(part)))
        found += [Figure(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it
    return found
