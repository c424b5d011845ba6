"""The words of a message. Pure. Opaque case keys, beam numbers and reasons; no folder and no file is named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mqi_communicator.case.visible import visible

SHOWN = 20
_PATH = re.compile(r"(?<![^\s'\"(=:])(?:~|\.{1,2})?/[^\s'\",;)]+|[^\s'\"(]+/[^\s'\",;)]+\.\w+")
_WORDS = {
    "needs_person": "need a person",
    "failed": "failed",
    "verdict_fail": "verdict fail",
    "verdict_review": "verdict review",
}
_QUOTES = "see mqi why"  # where the reason may quote a file name


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell. `beam` 0 is the case itself; `quotes`: its reason may quote a file or a DICOM value."""

    topic: str
    case: str
    beam: int
    why: str
    quotes: bool = False

    @property
    def reason(self) -> str:
        """What may leave the house."""
        if self.quotes:
            return _QUOTES
        return visible(" ".join(_PATH.sub("(path)", self.why).split()))[:300]


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a line, a text, and the same as data."""

    subject: str
    text: str
    data: dict[str, object] = field(default_factory=dict)


def compose(news: Sequence[Notification]) -> Message:
    """One message about all of it. ValueError for nothing."""
    if not news:
        raise ValueError("there is nothing to tell")
    counts = Counter(one.topic for one in news)
    told = ", ".join(f"{counts[topic]} {words}" for topic, words in _WORDS.items() if counts[topic])
    lines = [_line(one) for one in news[:SHOWN]]
    if len(news) > SHOWN:
        lines.append(f"... and {len(news) - SHOWN} more: mqi status")
    items = [
        {"topic": one.topic, "case": one.case, "beam": one.beam or None, "why": one.reason} for one in news[:SHOWN]
    ]
    subject = f"MQI: {told}"
    data: dict[str, object] = {"text": "\n".join((subject, *lines)), "counts": dict(counts), "items": items}
    return Message(subject, "\n".join((*lines, "", "mqi why CASE says more.")) + "\n", data)


def trial() -> Message:
    """What `mqi notify --test` sends."""
    subject = "MQI: a test, nothing happened"
    text = "This message was asked for by mqi notify --test."
    return Message(subject, text + "\n", {"text": f"{subject}\n{text}", "counts": {}, "items": []})


def _line(one: Notification) -> str:
    where = f"case {one.case}" + (f" beam {one.beam}" if one.beam else "")
    return f"{where}: {_WORDS[one.topic]}" + (f": {one.reason}" if one.reason else "")
