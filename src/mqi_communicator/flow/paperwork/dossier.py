"""What is delivered beside the doses: the events so far, and a manifest of everything that made the number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mqi_communicator.case.faults import DiskFull
from mqi_communicator.delivery.folder import deliver
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool import Spool
from mqi_communicator.intake.admit import load_manifest
from mqi_communicator.results.documents import (
    MANIFEST,
    ChainDocument,
    OutputDocument,
    RunDocument,
    as_json,
    manifest_document,
    utc,
)
from mqi_communicator.store.chain import Entry
from mqi_communicator.store.jobs import JobRow
from mqi_communicator.store.lines import event_of

EVENTS = "events.jsonl"


def deliver_case(
    spool: Spool,
    runs: Sequence[JobRow],
    history: Sequence[Entry],
    evidence: Mapping[str, str],
    basis: Basis,
    results: Path,
) -> Path:
    """Complete the spool's `results/` and let it appear in the results folder. Returns the delivered folder."""
    key, prepared = spool.root.name, spool.results
    if not (prepared / MANIFEST).is_file():  # once written it stays: a repeated delivery must be the same
        try:
            _complete(spool, key, runs, history, evidence, basis)
        except OSError as error:
            advice = "make space on the disk of paths.workspace"
            raise DiskFull(f"the manifest cannot be written: {error.strerror}", advice) from None
    return deliver(prepared, results, key)


def _complete(
    spool: Spool,
    key: str,
    runs: Sequence[JobRow],
    history: Sequence[Entry],
    evidence: Mapping[str, str],
    basis: Basis,
) -> None:
    prepared = spool.results
    told = [_public(entry) for entry in history]
    (prepared / EVENTS).write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in told), encoding="utf-8")
    document = manifest_document(
        key,
        load_manifest(spool.manifest),
        version=basis.version,
        configuration=basis.config_digest,
        engine=evidence,
        runs=[_run(job) for job in runs],
        outputs=[_output(path, prepared) for path in sorted(prepared.rglob("*")) if path.is_file()],
        chain=ChainDocument(event=history[-1].id, link=history[-1].link) if history else None,
        admitted_at=_when(history, "admit"),
        judged_at=_when(history, "compare"),
    )
    aside = spool.root / "manifest.aside"
    aside.write_bytes(as_json(document))
    aside.rename(prepared / MANIFEST)


def _public(entry: Entry) -> dict[str, object]:
    """An event without words that may quote a file name: those of admission."""
    event = event_of(entry)
    said = asdict(event) | {"id": entry.id, "seq": entry.seq, "link": entry.link}
    return {**said, "why": ""} if event.step == "admit" or "code" in event.facts else said


def _run(job: JobRow) -> RunDocument:
    return RunDocument(
        beam=job.beam, token=job.token, run=job.run, host=job.host, started=utc(job.started), ended=utc(job.ended)
    )


def _output(path: Path, folder: Path) -> OutputDocument:
    data = path.read_bytes()
    name = str(path.relative_to(folder))
    return OutputDocument(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _when(history: Sequence[Entry], step: str) -> float | None:
    return next((event.at for event in reversed(history) if event.step == step and event.event == "step.done"), None)
