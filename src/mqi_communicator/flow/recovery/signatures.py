"""Signatures that the store has lost: they are beside the results, and noted in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event
from mqi_communicator.case.signing import SignatureState
from mqi_communicator.flow.spool.decisions import SignedNote, signed_of
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.flow.tools import Tools
from mqi_communicator.results.signature import state_of
from mqi_communicator.store import audit, cases, signatures
from mqi_communicator.store.cases import Case

SIGNATURE_RECOVERED = "case.signature_recovered"


@dataclass(frozen=True, slots=True)
class SignatureFound:
    """The state of the signature of the results in a folder; who gave the last one, and when (epoch seconds)."""

    case: str
    results: str
    state: SignatureState
    by: str
    at: float


async def recover_signatures(tools: Tools) -> list[str]:
    """Record the signatures that a restored store does not know; returns the keys of their cases."""
    notes = await asyncio.to_thread(lambda: dict(_notes(tools.workspace / "spool")))
    known = await tools.database.read(cases.get_many, list(notes))
    recovered = []
    for key, case in known.items():
        note = notes[key]
        if (note.results, note.state) == (case.results, case.signature):
            continue
        found = await asyncio.to_thread(found_signature, case, second=tools.signing.second)
        if found is not None and found.state != case.signature:
            await tools.database.write(record_found, found, tools.clock())
            recovered.append(key)
    return recovered


def found_signature(case: Case, *, second: bool) -> SignatureFound | None:
    """The signatures beside the newest results of a case; None if there are none, or if they are not valid."""
    if not case.results or case.signature == SignatureState.NONE:
        return None  # another judgement is under way
    try:
        found = signatures_of(Path(case.results))
    except (OSError, Permanent):
        return None
    if not found:
        return None
    last = found[-1]
    return SignatureFound(case.key, case.results, state_of(found, second=second), last.account, last.at)


def record_found(connection: Connection, found: SignatureFound, now: float) -> None:
    """Record signatures that the store does not know, with an event."""
    case = cases.get(connection, found.case)
    if case.results != found.results or case.signature == found.state:
        return
    why = "the store did not know this signature"
    event = Event(now, case.key, CASE_ITEM, SIGNATURE_RECOVERED, "", case.signature, found.state, "mqi", why)
    audit.append(connection, event)
    signatures.record(connection, case.key, found.state, found.by, found.at)


def _notes(spool: Path) -> Iterator[tuple[str, SignedNote]]:
    for folder in spool.iterdir() if spool.is_dir() else ():
        try:
            note = signed_of(Spool(folder))
        except ActionRequired:  # damaged: the signature itself is beside the results
            continue
        if note is not None:
            yield folder.name, note
