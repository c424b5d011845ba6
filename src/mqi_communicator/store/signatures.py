"""The state of the signature of each case's newest judgement, beside the case, so that lists need open no folder."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, select

from mqi_communicator.case.signing import DUE, SignatureState
from mqi_communicator.store import cases as rows
from mqi_communicator.store.cases import Case, as_case
from mqi_communicator.store.schema import cases


def open_case(connection: Connection, key: str, results: str) -> None:
    """A judgement was delivered to the folder `results`: nobody has signed it."""
    rows.change(connection, key, results=results, signature=SignatureState.UNSIGNED, signed_by="", signed_at=0.0)


def withdraw(connection: Connection, key: str) -> None:
    """Another judgement is under way: there is nothing to sign until it is delivered."""
    rows.change(connection, key, signature=SignatureState.NONE, signed_by="", signed_at=0.0)


def record(connection: Connection, key: str, state: SignatureState, by: str, at: float) -> None:
    """The newest judgement was signed by a user, at `at` (epoch seconds)."""
    rows.change(connection, key, signature=state, signed_by=by, signed_at=at)


def due(connection: Connection, limit: int) -> list[Case]:
    """Patients' cases whose newest judgement somebody has to sign (also for the second time), newest first.

    Neither constancy samples nor plans with a newer revision.
    """
    query = select(cases).where(*_due()).order_by(cases.c.seen.desc(), cases.c.key.desc()).limit(limit)
    return [as_case(row) for row in connection.execute(query)]


def counts_due(connection: Connection) -> dict[str, int]:
    """How many cases `due` would list without a limit, by verdict."""
    query = select(cases.c.word, func.count()).where(*_due()).group_by(cases.c.word)
    return {str(word): int(number) for word, number in connection.execute(query)}


def _due() -> tuple[ColumnElement[bool], ...]:
    return cases.c.signature.in_(DUE), cases.c.constancy == "", cases.c.superseded_by == ""
