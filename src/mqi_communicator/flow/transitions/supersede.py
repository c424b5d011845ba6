"""A case that is superseded by another: of a plan by its next revision, of the dose of a fraction by a later one."""

from __future__ import annotations

from sqlalchemy import Connection

from mqi_communicator.store import cases, orders, work_items
from mqi_communicator.store.cases import Case


def supersede(connection: Connection, old: Case, by: str, why: str, now: float) -> None:
    """Record by which case `old` is superseded, and cancel it if it has not ended. Nothing if that is recorded."""
    if old.superseded_by:
        return
    cases.change(connection, old.key, superseded_by=by)
    if not work_items.get(connection, old.key).status.ended:
        orders.add(connection, at=now, case=old.key, order="cancel", who="mqi", why=why)
