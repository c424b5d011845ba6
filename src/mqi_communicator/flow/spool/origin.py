"""Where a case came from, kept beside its files in the spool: an older store that came back can take it up again.

The watched folder's name may name a patient: it stands here as it stands in the store, and nowhere else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from mqi_communicator.flow.spool.layout import write_durably
from mqi_communicator.store.cases import Case

_KEPT = ("seen", "fingerprint", "changed", "priority", "rank")
_KEPT_LATER = {"constancy": ""}  # and what it is where an older version wrote the note


def write_origin(path: Path, case: Case) -> None:
    """Note a case before its files are admitted. DiskFull if the spool is."""
    facts = {"source": os.fsencode(case.source).hex(), **{name: getattr(case, name) for name in (*_KEPT, *_KEPT_LATER)}}
    write_durably(path, json.dumps(facts, sort_keys=True))


def read_origin(path: Path, key: str) -> Case | None:
    """The case as it was first seen, without what became of it; None if nothing readable says so."""
    try:
        facts = json.loads(path.read_text(encoding="ascii"))
        source = Path(os.fsdecode(bytes.fromhex(facts["source"])))
        later = {name: facts.get(name, otherwise) for name, otherwise in _KEPT_LATER.items()}
        return Case(key=key, source=source, **{name: facts[name] for name in _KEPT}, **later)
    except (OSError, ValueError, KeyError, TypeError):
        return None
