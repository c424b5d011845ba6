"""Cases: a watched folder's content at one time, under an opaque key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal_column, or_, select, update

from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.model import CASE_ITEM, CaseKind
from mqi_communicator.store.schema import batched, cases, work_items
from mqi_communicator.store.work_items import NOT_ENDED

_NUMBER: ColumnElement[int] = literal_column("cases.rowid")  # SQLite's own: it grows with each row that is added


@dataclass(frozen=True, slots=True)
class Case:
    """One row of `cases`. `source`, `patient_id` and `plan_label` identify a patient: shown to users, never logged."""

    key: str
    source: Path
    seen: float
    fingerprint: str
    changed: float = 0.0
    lineage: str = ""
    content: str = ""
    revision: int = 1
    same_as: str = ""
    superseded_by: str = ""
    word: str = ""
    why: str = ""
    results: str = ""
    host: str = ""
    priority: str = "routine"
    rank: float = 0.0
    demand: str = ""
    extension: str = ""
    constancy: str = ""
    signature: str = ""
    signed_by: str = ""
    signed_at: float = 0.0
    patient_id: str = field(default="", repr=False)
    plan_label: str = field(default="", repr=False)
    machine: str = ""
    kind: str = CaseKind.PLAN
    parent: str = ""
    fraction: str = ""


def as_case(row: Row[tuple[object, ...]]) -> Case:
    """A row as a Case; it may have further columns."""
    values = {name: row._mapping[name] for name in Case.__slots__}  # noqa: SLF001 - SQLAlchemy's public name for it
    values["source"] = Path(os.fsdecode(values["source"]))
    return Case(**values)


def add(connection: Connection, case: Case) -> None:
    """Insert a case."""
    values = {name: getattr(case, name) for name in Case.__slots__}
    values["source"] = os.fsencode(case.source)
    connection.execute(cases.insert().values(**values))


def get(connection: Connection, key: str) -> Case:
    """The case with this key. KeyError if there is none."""
    row = connection.execute(select(cases).where(cases.c.key == key)).one_or_none()
    if row is None:
        raise KeyError(key)
    return as_case(row)


def keys(connection: Connection) -> set[str]:
    """The keys of all cases."""
    return set(connection.execute(select(cases.c.key)).scalars())


def get_many(connection: Connection, keys: Sequence[str]) -> dict[str, Case]:
    """Those of these cases that exist, by key."""
    found: dict[str, Case] = {}
    for part in batched(keys):
        found |= {row.key: as_case(row) for row in connection.execute(select(cases).where(cases.c.key.in_(part)))}
    return found


def change(connection: Connection, key: str, /, **values: str | float) -> None:
    """Set columns of one case."""
    connection.execute(update(cases).where(cases.c.key == key).values(**values))


def identify(connection: Connection, key: str, identity: CaseIdentity | None) -> None:
    """Write the identity of a case. None, from a manifest of an older version, changes nothing."""
    if identity is not None:
        facts = {"patient_id": identity.patient_id, "plan_label": identity.plan_label, "machine": identity.machine}
        change(connection, key, **facts)


def unidentified(connection: Connection) -> list[str]:
    """The keys of admitted plans without patient id and plan label, newest first."""
    nothing = (cases.c.patient_id == "", cases.c.plan_label == "", cases.c.content != "")
    query = select(cases.c.key).where(*nothing, cases.c.kind == CaseKind.PLAN)
    return list(connection.execute(query.order_by(cases.c.seen.desc())).scalars())


def latest_by_source(connection: Connection, folders: Sequence[Path]) -> dict[Path, Case]:
    """For each of these watched folders that is known, the row that was added last, whatever the clock was then."""
    found: dict[Path, Case] = {}
    for part in batched([os.fsencode(folder) for folder in folders]):
        newest = select(func.max(_NUMBER)).select_from(cases).where(cases.c.source.in_(part))
        query = select(cases).where(_NUMBER.in_(newest.group_by(cases.c.source).correlate(None)))
        found |= {case.source: case for case in map(as_case, connection.execute(query))}
    return found


def with_content(connection: Connection, content: str, *, but: str, kind: str = CaseKind.PLAN) -> list[Case]:
    """The other patients' cases that were admitted with the same content, oldest first."""
    others = (cases.c.key != but, cases.c.same_as == "", cases.c.constancy == "", cases.c.kind == kind)
    query = select(cases).where(cases.c.content == content, *others).order_by(cases.c.seen)
    return [as_case(row) for row in connection.execute(query)]


def of_lineage(connection: Connection, lineage: str, *, but: str) -> list[Case]:
    """The other revisions of one plan, oldest first, without constancy samples."""
    others = (cases.c.key != but, cases.c.same_as == "", cases.c.constancy == "", cases.c.kind == CaseKind.PLAN)
    query = select(cases).where(cases.c.lineage == lineage, *others)
    return [as_case(row) for row in connection.execute(query.order_by(cases.c.revision))]


def of_sample(connection: Connection, name: str, limit: int) -> list[Case]:
    """The last runs of a constancy sample, newest first, whatever the clock was then."""
    query = select(cases).where(cases.c.constancy == name).order_by(_NUMBER.desc()).limit(limit)
    return [as_case(row) for row in connection.execute(query)]


def all_cases(connection: Connection, limit: int | None = None) -> Sequence[Case]:
    """All cases, newest first."""
    return [as_case(row) for row in connection.execute(select(cases).order_by(cases.c.seen.desc()).limit(limit))]


def unfinished(connection: Connection) -> list[Case]:
    """Cases that have not ended, in the order of the queues."""
    query = (
        select(cases)
        .join(work_items, and_(work_items.c.case == cases.c.key, work_items.c.beam == CASE_ITEM))
        .where(work_items.c.status.in_(NOT_ENDED))
        .order_by(cases.c.rank, cases.c.key)
    )
    return [as_case(row) for row in connection.execute(query)]


def count_on_hosts(connection: Connection, *, but: str) -> int:
    """How many other cases have a host and have not ended."""
    query = (
        select(func.count())
        .select_from(cases)
        .join(work_items, and_(work_items.c.case == cases.c.key, work_items.c.beam == CASE_ITEM))
        .where(cases.c.host != "", cases.c.key != but, work_items.c.status.in_(NOT_ENDED))
    )
    return int(connection.execute(query).scalar_one())


def find(connection: Connection, name: str) -> list[Case]:
    """Cases that match `name`, newest first: a key, the start of one, or a folder's name or path."""
    last = b"/" + os.fsencode(name)
    conditions = [cases.c.source == os.fsencode(Path(name))]
    if name and "/" not in name:  # a scan of an index that contains the names
        conditions.append(func.substr(cases.c.source, -len(last)) == last)
    if len(name) >= 4 and name.isascii():  # noqa: PLR2004 - four characters distinguish keys
        conditions.append(and_(cases.c.key >= name, cases.c.key < f"{name}\x7f"))
    query = (
        select(cases).where(cases.c.key.in_(select(cases.c.key).where(or_(*conditions)))).order_by(cases.c.seen.desc())
    )
    return [as_case(row) for row in connection.execute(query)]
