"""Where a case came from, stored beside its files in the spool: a restored store can recover the case from it.

The watched folder's name may name a patient: it is stored here and in the database, and nowhere else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from mqi_communicator.flow.constancy_due import Due, due_of
from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.store.cases import Case

_KEPT = ("seen", "fingerprint", "changed", "priority", "rank")
_KEPT_LATER = {"kind": "plan", **dict.fromkeys(("constancy", "parent", "fraction", "content"), "")}  # for older records


def write_origin(path: Path, case: Case, due: Due | None = None) -> None:
    """Record a case before its files are admitted; `due` if it is a constancy run. DiskFull if the spool is."""
    facts: dict[str, object] = {name: getattr(case, name) for name in (*_KEPT, *_KEPT_LATER)}
    facts["source"] = os.fsencode(case.source).hex()
    if due is not None:
        facts["due"] = due.facts()
    write_durably(path, json.dumps(facts, sort_keys=True))


def read_origin(path: Path, key: str) -> Case | None:
    """The case as it was first seen, without its later state; None if the record is missing or damaged."""
    try:
        facts = json.loads(path.read_text(encoding="ascii"))
        source = Path(os.fsdecode(bytes.fromhex(facts["source"])))
        later = {name: facts.get(name, otherwise) for name, otherwise in _KEPT_LATER.items()}
        return Case(key=key, source=source, **{name: facts[name] for name in _KEPT}, **later)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_due(path: Path) -> Due | None:
    """Why the constancy run was due, and its basis; None if the record is missing, damaged or of an older version."""
    try:
        return due_of(json.loads(path.read_text(encoding="ascii"))["due"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
