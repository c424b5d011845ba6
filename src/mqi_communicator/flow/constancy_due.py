"""Why a constancy run was due, and what its dose depends on: in an event of its case, and in its spool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from mqi_communicator.store import audit
from mqi_communicator.store.chain import event_of

DUE = "constancy.due"  # the first event of such a case
READMITTED = "case.readmitted"  # the first one after a restore


@dataclass(frozen=True, slots=True)
class Due:
    """`basis`: version, engine, its models and curves, by name."""

    because: str
    basis: Mapping[str, str]

    def facts(self) -> dict[str, object]:
        """As recorded in an event and in the spool."""
        return {"because": self.because, "basis": dict(self.basis)}


def due_of(facts: object) -> Due | None:
    """What `Due.facts` returned; None for anything else."""
    if not isinstance(facts, Mapping) or not isinstance(facts.get("basis"), Mapping):
        return None
    basis = {str(name): str(value) for name, value in facts["basis"].items()}
    return Due(str(facts.get("because", "")), basis)


def recorded_due(connection: Connection, key: str) -> Due | None:
    """Of a case of the store; None for a patient's case, and where neither store nor spool have it after a restore."""
    first = next((one for one in audit.history(connection, key) if one.name in (DUE, READMITTED)), None)
    return None if first is None else due_of(event_of(first).facts)
