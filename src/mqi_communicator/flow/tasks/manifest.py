"""The files delivered with the doses: the events so far, and a manifest of everything that determined the result."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.delivery.folder import CHANGED, deliver
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of, digests_of
from mqi_communicator.flow.transitions import judgements
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.documents import (
    MANIFEST,
    ChainDocument,
    ManifestDocument,
    OutputDocument,
    RunDocument,
    as_json,
    manifest_document,
)
from mqi_communicator.store.chain import Entry, event_of
from mqi_communicator.system.durable import sync_file, sync_folder, sync_tree

EVENTS = "events.jsonl"
JUDGED = ("compare", "judge")  # the step that makes the verdict: of a plan, of a fraction
REPORTED = ("report", "document")  # the step that draws the report of it
_AGAIN = "move the folder away if it is not needed, then run mqi retry"


@dataclass(frozen=True, slots=True)
class Record:
    """What store and configuration record of how a case was computed."""

    runs: Sequence[RunDocument]  # the accepted run of each beam
    history: Sequence[Entry]
    evidence: Mapping[str, str]
    basis: Basis

    @property
    def judgement(self) -> int:
        """Which judgement of the case this is, counted from 1."""
        return judgements.number(self.history)


def deliver_case(spool: Spool, record: Record, results: Path, verify: Callable[[], None] = lambda: None) -> Path:
    """Complete the spool's `results/` and deliver it to the results folder. Return the delivered folder.

    `verify` raises if `results` is not the folder it should be.
    """
    key, prepared = spool.root.name, spool.results
    if not (prepared / MANIFEST).is_file():  # never rewritten: a repeated delivery must be the same
        try:
            _complete(spool, record)
        except OSError as error:
            advice = "free space on the disk of paths.workspace"
            raise DiskFull(f"the manifest cannot be written: {error.strerror}", advice) from None
    return deliver(prepared, results, key, judgements.folder(key, record.judgement), verify)


def manifest_of(spool: Spool, record: Record, digests: Mapping[str, str] | None = None) -> ManifestDocument:
    """Everything that determined the result, with the files of the spool's `results/` and their digests. Without
    `digests`, those that were recorded when the files were made; of other files, their current ones.

    A file that has changed since is found when it is delivered: its copy is verified."""
    prepared = spool.results
    if digests is None:
        digests = _outputs(record.history, *JUDGED)
    return manifest_document(
        spool.root.name,
        load_manifest(spool.manifest),
        version=record.basis.version,
        configuration=record.basis.config_digest,
        engine=record.evidence,
        judgement=record.judgement,
        runs=record.runs,
        outputs=[
            output(path, prepared, digests.get(str(path.relative_to(prepared)), ""))
            for path in sorted(prepared.rglob("*"))
            if path.is_file()
        ],
        chain=ChainDocument(event=record.history[-1].id, link=record.history[-1].link) if record.history else None,
        admitted_at=_when(record.history, "admit", "reconstruct"),
        judged_at=_when(record.history, *JUDGED),
    )


def _complete(spool: Spool, record: Record) -> None:
    prepared = spool.results
    digests = _digests(prepared, record.history)
    events = [_public(entry) for entry in record.history]
    (prepared / EVENTS).write_text(
        "".join(json.dumps(item, sort_keys=True) + "\n" for item in events), encoding="utf-8"
    )
    temporary = spool.root / "manifest.aside"
    temporary.write_bytes(as_json(manifest_of(spool, record, digests)))
    sync_tree(prepared)
    sync_file(temporary)
    temporary.rename(prepared / MANIFEST)
    sync_folder(prepared)


def _digests(prepared: Path, history: Sequence[Entry]) -> Mapping[str, str]:
    """The digests of the files to be delivered, as they were judged and drawn: their copies are verified with them.

    Permanent if a file is missing, or was not there then. A case judged by a version without digests is delivered as it
    is."""
    then = {name: digest for name, digest in _outputs(history, *JUDGED).items() if name != EVENTS}
    if not then:
        return {name: digest for name, digest in digests_of(prepared).items() if name != EVENTS}
    then |= _outputs(history, *REPORTED)
    now = {str(path.relative_to(prepared)) for path in prepared.rglob("*") if path.is_file()} - {EVENTS}
    for name in sorted(now ^ then.keys()):
        what = "was not there when the case was judged" if name in now else "is missing"
        raise Permanent(f"the result {name} {what}", CHANGED)
    return then


def _public(entry: Entry) -> dict[str, object]:
    """An event, without the text of admission events, which may quote a file name."""
    event = event_of(entry)
    recorded = {"event": entry.event, "id": entry.id, "seq": entry.seq, "link": entry.link}
    fields = asdict(event) | recorded
    return {**fields, "why": ""} if event.step == "admit" or "code" in event.facts else fields


@contextlib.contextmanager
def results_locked(spool: Spool) -> Iterator[None]:
    """Hold the lock under which the results of this case are signed or drawn; wait for it."""
    spool.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (spool.root / "results.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def verified_manifest(delivered: Path, but: Sequence[str] = ()) -> ManifestDocument:
    """The manifest of delivered results. Permanent unless its files, except `but`, exist and match it."""
    try:
        manifest = ManifestDocument.model_validate_json((delivered / MANIFEST).read_bytes())
        for file in manifest.outputs:
            if file.name not in but and output(delivered / file.name, delivered) != file:
                raise Permanent(f"the delivered {file.name} was changed after its delivery", _AGAIN)
    except (OSError, ValueError) as fault:
        raise Permanent(f"the delivered results cannot be read ({type(fault).__name__})", _AGAIN) from None
    return manifest


def output(path: Path, folder: Path, digest: str = "") -> OutputDocument:
    """A delivered file as an entry of the manifest. `digest`: its sha256, if that is known."""
    name = str(path.relative_to(folder))
    return OutputDocument(name=name, bytes=path.stat().st_size, sha256=digest or digest_of(path))


def _when(history: Sequence[Entry], *steps: str) -> float | None:
    entry = _last(history, steps)
    return None if entry is None else entry.at


def _outputs(history: Sequence[Entry], *steps: str) -> dict[str, str]:
    """The digests of the files that the last of these steps made, by name."""
    entry = _last(history, steps)
    made = {} if entry is None else event_of(entry).facts.get("outputs", {})
    return {str(name): str(digest) for name, digest in made.items()} if isinstance(made, dict) else {}


def _last(history: Sequence[Entry], steps: Sequence[str]) -> Entry | None:
    return next((entry for entry in reversed(history) if entry.step in steps and entry.name == "step.done"), None)
