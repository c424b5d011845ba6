"""Reading the manifest of an admitted case, which `spooling` writes. Loads nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.model import Kind, Manifest, StoredFile


def load_manifest(path: Path) -> Manifest:
    """Load the manifest written by `copy_to_spool`. Permanent if it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="ascii"))
        return Manifest(
            content=data["content"],
            lineage=data["lineage"],
            beams=tuple((int(number), str(name)) for number, name in data["beams"]),
            files=tuple(StoredFile(**{**file, "kind": Kind(file["kind"])}) for file in data["files"]),
            aside=tuple((str(name), str(why)) for name, why in data.get("aside", ())),
            identity=None if data.get("identity") is None else CaseIdentity(**data["identity"]),
        )
    except (ValueError, KeyError, TypeError):
        raise Permanent(
            "the manifest of the case in the spool is damaged", "Put the case into the watched folder again."
        ) from None
