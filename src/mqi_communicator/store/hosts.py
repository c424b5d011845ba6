"""The last known state of each host: GPUs, job slots, whether it was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select

from mqi_communicator.case.visible import visible_in
from mqi_communicator.store.schema import hosts


def save(connection: Connection, name: str, seen: float, state: Mapping[str, object]) -> None:
    """Write the current state of a host, control characters escaped."""
    connection.execute(hosts.delete().where(hosts.c.name == name))
    connection.execute(
        hosts.insert().values(name=name, seen=seen, state=json.dumps(visible_in(dict(state)), sort_keys=True))
    )


def load(connection: Connection) -> dict[str, tuple[float, dict[str, object]]]:
    """When each host was last seen (epoch seconds), and its state then."""
    return {row.name: (row.seen, json.loads(row.state)) for row in connection.execute(select(hosts))}
