"""Reads from the store which spools a fraction comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.store import cases
from mqi_communicator.store.cases import Case
from mqi_communicator.store.deliveries import deliveries_of
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions


def sources_of(
    connection: Connection, fraction: Case, spool: Callable[[str], Spool], calibrations: Mapping[str, SumitomoOptions]
) -> FractionSources:
    """The spools of a fraction's plan and deliveries. `spool`: that of a case by its key."""
    parent = cases.get(connection, fraction.parent)
    joined, refused = deliveries_of(connection, parent, fraction.fraction)
    deliveries = tuple(spool(one.key) for one in joined)
    return FractionSources(spool(parent.key), deliveries, len(refused), calibrations)
