"""From which deliveries a fraction was judged last, as its spool records it. Loads nothing heavy."""

from __future__ import annotations

from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.intake.manifest import load_manifest


def judged_deliveries(spool: Spool) -> frozenset[str]:
    """The keys of the cases whose files were judged, that of the plan among them; none before the first judgement."""
    if not spool.manifest.is_file():
        return frozenset()
    return frozenset(file.stored.partition("/")[0] for file in load_manifest(spool.manifest).files)
