"""Compare the store's chain of events with the checkpoints recorded outside it: in delivered results and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault
from mqi_communicator.delivery.folder import delivered_results
from mqi_communicator.flow.recovery.deliveries import DELIVERY_RECOVERED
from mqi_communicator.flow.tasks.manifest import EVENTS
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.store import audit, cases
from mqi_communicator.store.chain import AuditCheckpoint

HEADS = ("audit.head", "startup.summary", "found")  # logged with the head of the chain; the last is a former name


@dataclass(frozen=True, slots=True)
class Report:
    """The audit of the chain, and of the checkpoints it was compared with."""

    audit: audit.Audit
    notes: tuple[str, ...]  # not wrong, but worth knowing
    wrong: tuple[str, ...]  # one line each

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def verify_chain(connection: Connection, log: Path | None) -> Report:
    """Walk the chain and compare it with every delivered case, and with a log where one is given.

    The results of a case recovered after a restore refer to events that the store has lost: that becomes a note.
    """
    checkpoints: list[AuditCheckpoint] = [] if log is None else list(_of_log(log))
    notes, wrong = [], []
    for case in cases.all_cases(connection):
        if not case.results:
            continue
        for folder in _delivered(connection, case):
            try:
                delivered = delivered_results(folder.parent, case.key, folder.name)
                signatures_of(folder)
            except Fault as fault:
                wrong.append(f"case {case.key}: {folder.name}: {fault.reason}")
                continue
            if delivered is None:
                notes.append(f"case {case.key}: its results are no longer in {folder}")
            elif _found_after_a_restore(connection, case.key, delivered[2]):
                notes.append(f"case {case.key}: delivered before a restore; the store has lost the events up to then")
            else:
                checkpoints += _of_results(folder, case.key, delivered[1])
    walked = audit.verify(connection, checkpoints)
    return Report(walked, tuple(notes), (*wrong, *map(str, walked.findings)))


def _delivered(connection: Connection, case: cases.Case) -> list[Path]:
    """The folder of each judgement's results, the newest last."""
    newest = Path(case.results)
    names = (judgements.folder(case.key, n + 1) for n in range(judgements.number(audit.history(connection, case.key))))
    return [*map(newest.with_name, takewhile(newest.name.__ne__, names)), newest]


def _found_after_a_restore(connection: Connection, case: str, digest: str) -> bool:
    kept = audit.history(connection, case)
    return any(entry.name == DELIVERY_RECOVERED and json.loads(entry.facts).get("manifest") == digest for entry in kept)


def _of_results(folder: Path, case: str, manifest: object) -> Iterator[AuditCheckpoint]:
    where = f"what was delivered of case {case}"
    chain = manifest.get("chain") if isinstance(manifest, dict) else None
    if not chain:
        return  # delivered by a version that kept no chain
    yield AuditCheckpoint(int(chain["event"]), str(chain["link"]), where)
    for item in (folder / EVENTS).read_text(encoding="utf-8").splitlines():
        event = json.loads(item)
        yield AuditCheckpoint(int(event["id"]), str(event["link"]), where, str(event["case"]), int(event["seq"]))


def _of_log(path: Path) -> Iterator[AuditCheckpoint]:
    """Lines that are not JSON are ignored."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for item in lines:
            try:
                record = json.loads(item[item.find("{") :])
                if record["event"] in HEADS and record["number"]:
                    yield AuditCheckpoint(
                        int(record["number"]), str(record["link"]), f"the log of {record['timestamp']}"
                    )
            except (ValueError, KeyError, TypeError):
                continue
