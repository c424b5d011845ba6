"""States of the circuit breakers: a restart keeps an offline host offline."""

from __future__ import annotations

from sqlalchemy import Connection, select

from mqi_communicator.store.schema import breakers


def load(connection: Connection) -> dict[str, str]:
    """The states of all breakers as JSON, by name."""
    return {row.name: row.state for row in connection.execute(select(breakers))}


def save(connection: Connection, name: str, state: str) -> None:
    """Write one breaker's state."""
    connection.execute(breakers.delete().where(breakers.c.name == name))
    connection.execute(breakers.insert().values(name=name, state=state))
