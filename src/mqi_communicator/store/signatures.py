"""The state of the signature of each case's newest judgement, beside the case, so that lists need open no folder."""

from __future__ import annotations

from sqlalchemy import Connection

from mqi_communicator.case.signing import SignatureState
from mqi_communicator.store import cases


def open_case(connection: Connection, key: str, results: str) -> None:
    """A judgement was delivered to the folder `results`: nobody has signed it."""
    cases.change(connection, key, results=results, signature=SignatureState.UNSIGNED, signed_by="", signed_at=0.0)


def withdraw(connection: Connection, key: str) -> None:
    """Another judgement is under way: there is nothing to sign until it is delivered."""
    cases.change(connection, key, signature=SignatureState.NONE, signed_by="", signed_at=0.0)


def record(connection: Connection, key: str, state: SignatureState, by: str, at: float) -> None:
    """The newest judgement was signed by a user, at `at` (epoch seconds)."""
    cases.change(connection, key, signature=state, signed_by=by, signed_at=at)
