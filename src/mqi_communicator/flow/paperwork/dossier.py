"""What is delivered beside the doses: the events so far, and a manifest of everything that made the number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.case.model import Event
from mqi_communicator.delivery.folder import deliver
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.paperwork.judge import digests_of
from mqi_communicator.flow.spool import Spool
from mqi_communicator.intake.admit import load_manifest
from mqi_communicator.results.documents import (
    MANIFEST,
    OutputDocument,
    RunDocument,
    as_json,
    manifest_document,
    utc,
)
from mqi_communicator.store.jobs import JobRow

EVENTS = "events.jsonl"


def deliver_case(
    spool: Spool,
    runs: Sequence[JobRow],
    history: Sequence[Event],
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
    history: Sequence[Event],
    evidence: Mapping[str, str],
    basis: Basis,
) -> None:
    prepared = spool.results
    _prove(digests_of(prepared), history)
    told = [_public(event) for event in history]
    (prepared / EVENTS).write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in told), encoding="utf-8")
    document = manifest_document(
        key,
        load_manifest(spool.manifest),
        version=basis.version,
        configuration=basis.config_digest,
        engine=evidence,
        runs=[_run(job) for job in runs],
        outputs=[_output(path, prepared) for path in sorted(prepared.rglob("*")) if path.is_file()],
        admitted_at=_when(history, "admit"),
        judged_at=_when(history, "compare"),
    )
    aside = spool.root / "manifest.aside"
    aside.write_bytes(as_json(document))
    aside.rename(prepared / MANIFEST)


def _prove(now: Mapping[str, str], history: Sequence[Event]) -> None:
    """What is to be delivered is what was judged. Permanent, with both digests, if not. A case that was judged by a
    version that kept no digests is delivered as it stands."""
    judged = _event(history, "compare")
    if judged is None or "outputs" not in judged.facts:
        return
    then = {name: str(digest) for name, digest in dict(judged.facts["outputs"]).items()}  # type: ignore[call-overload]
    for name in sorted({*then, *now} - {EVENTS}):
        if now.get(name) != then.get(name):
            found, had = (f"{one[name][:16]}…" if name in one else "none" for one in (now, then))
            raise Permanent(
                f"the result {name} has digest {found} now and had {had} when it was judged",
                "mqi retry has the case compared again; the disk of paths.workspace may be failing",
            )


def _public(event: Event) -> dict[str, object]:
    """An event without words that may quote a file name: those of admission."""
    said = asdict(event)
    return {**said, "why": ""} if event.step == "admit" or "code" in event.facts else said


def _run(job: JobRow) -> RunDocument:
    return RunDocument(
        beam=job.beam, token=job.token, run=job.run, host=job.host, started=utc(job.started), ended=utc(job.ended)
    )


def _output(path: Path, folder: Path) -> OutputDocument:
    data = path.read_bytes()
    name = str(path.relative_to(folder))
    return OutputDocument(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _when(history: Sequence[Event], step: str) -> float | None:
    event = _event(history, step)
    return None if event is None else event.at


def _event(history: Sequence[Event], step: str) -> Event | None:
    return next((event for event in reversed(history) if event.step == step and event.event == "step.done"), None)
