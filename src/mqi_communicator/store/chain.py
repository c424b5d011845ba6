"""The event chain: each row carries the SHA-256 over the link of the row before it and its own content. Pure.

A changed, removed or inserted row breaks it. A rewrite of all following rows is detected by checkpoints outside the
store: delivered manifests and lines of the log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mqi_communicator.case.event_names import current_name
from mqi_communicator.case.model import Event

GENESIS = "0" * 64
CONTENT = ("id", "seq", "at", "case", "beam", "event", "step", "before", "after", "who", "why", "facts")


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded event: `id` counts all events from 1, `seq` those of its case, `facts` is JSON as stored."""

    id: int
    seq: int
    at: float
    case: str
    beam: int
    event: str
    step: str
    before: str
    after: str
    who: str
    why: str
    facts: str
    link: str

    @property
    def name(self) -> str:
        """The event's current name; `event` is the name it was recorded with."""
        return current_name(self.event, self.beam)


def event_of(entry: Entry) -> Event:
    """A recorded event under its current name."""
    columns = {name: getattr(entry, name) for name in Event.__slots__ if name not in ("event", "facts")}
    return Event(**columns, event=entry.name, facts=json.loads(entry.facts))


@dataclass(frozen=True, slots=True)
class AuditCheckpoint:
    """A record of one event outside the store: its id, its link, and where it was found."""

    id: int
    link: str
    where: str
    case: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One break of the chain: the event and its case, "" where unknown."""

    id: int
    case: str
    seq: int
    what: str

    def __str__(self) -> str:
        """The finding as one line."""
        whose = f" (number {self.seq} of case {self.case})" if self.case and self.seq else ""
        whose = f" (of case {self.case})" if self.case and not self.seq else whose
        return f"event {self.id}{whose}: {self.what}"


def link(before: str, content: Mapping[str, object]) -> str:
    """The link of a row that follows the one with link `before`."""
    text = json.dumps([before, *(content[name] for name in CONTENT)], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def find_breaks(entries: Iterable[Entry], checkpoints: Callable[[int], Sequence[AuditCheckpoint]]) -> Iterator[Finding]:
    """Walk the chain in order of `id` and yield each break. `checkpoints` returns those of an event id."""
    before, last, seqs = GENESIS, 0, dict[str, int]()
    for entry in entries:
        seq, gap = seqs.get(entry.case, 0) + 1, entry.id - last - 1
        values = {name: getattr(entry, name) for name in CONTENT}
        if gap > 0:  # the row that this link was made over is missing
            ours = entry.seq - seq == gap
            yield from (
                _missing(last + 1 + n, entry, seq + n if ours else 0, checkpoints(last + 1 + n)) for n in range(gap)
            )
        elif link(before, values) != entry.link:
            yield _of(entry, "was changed, or does not follow the event before it")
        elif entry.seq != seq:
            yield _of(entry, f"an event of the case is missing before it: expected number {seq}")
        if other := next((one for one in checkpoints(entry.id) if one.link != entry.link), None):
            yield _of(entry, f"{other.where} has another link: the chain was rewritten, or an older store was restored")
        before, last, seqs[entry.case] = entry.link, entry.id, entry.seq


def _missing(number: int, after: Entry, seq: int, checkpoints: Sequence[AuditCheckpoint]) -> Finding:
    if known := next((one for one in checkpoints if one.case), None):
        return Finding(number, known.case, known.seq, f"was removed; {known.where} contains it")
    if seq:
        return Finding(number, after.case, seq, "was removed")
    return Finding(number, "", 0, f"was removed, before event {after.id} of case {after.case}")


def _of(entry: Entry, what: str) -> Finding:
    return Finding(entry.id, entry.case, entry.seq, what)
