"""The text of a message. Pure. Opaque case keys, beam numbers and reasons; no folder and no file is named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mqi_communicator.case.visible import visible

SHOWN = 20
_PATH = re.compile(r"(?<![^\s'\"(=:])(?:~|\.{1,2})?/[^\s'\",;)]+|[^\s'\"(]+/[^\s'\",;)]+\.\w+")
_TERMS = {
    "needs_person": "action required",
    "failed": "failed",
    "verdict_fail": "verdict fail",
    "verdict_review": "verdict review",
}
_QUOTES = "see mqi why"  # where the reason may quote a file name


@dataclass(frozen=True, slots=True)
class Notification:
    """One item of a message. `beam` 0 is the case itself; `quotes`: its reason may quote a file or a DICOM value."""

    topic: str
    case: str
    beam: int
    why: str
    quotes: bool = False

    @property
    def reason(self) -> str:
        """The reason without paths, or a pointer to where it is."""
        if self.quotes:
            return _QUOTES
        return visible(" ".join(_PATH.sub("(path)", self.why).split()))[:300]


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: subject, text, and the same as data."""

    subject: str
    text: str
    data: dict[str, object] = field(default_factory=dict)


def compose(items: Sequence[Notification]) -> Message:
    """One message about all items. ValueError if there are none."""
    if not items:
        raise ValueError("no items")
    counts = Counter(one.topic for one in items)
    summary = ", ".join(f"{counts[topic]} {term}" for topic, term in _TERMS.items() if counts[topic])
    lines = [_line(one) for one in items[:SHOWN]]
    if len(items) > SHOWN:
        lines.append(f"... and {len(items) - SHOWN} more: mqi status")
    shown = [
        {"topic": one.topic, "case": one.case, "beam": one.beam or None, "why": one.reason} for one in items[:SHOWN]
    ]
    subject = f"MQI: {summary}"
    data: dict[str, object] = {"text": "\n".join((subject, *lines)), "counts": dict(counts), "items": shown}
    return Message(subject, "\n".join((*lines, "", "mqi why CASE gives the details.")) + "\n", data)


def trial_message() -> Message:
    """What `mqi notify --test` sends."""
    subject = "MQI: test message"
    text = "This is a test, sent by mqi notify --test."
    return Message(subject, text + "\n", {"text": f"{subject}\n{text}", "counts": {}, "items": []})


def _line(one: Notification) -> str:
    where = f"case {one.case}" + (f" beam {one.beam}" if one.beam else "")
    return f"{where}: {_TERMS[one.topic]}" + (f": {one.reason}" if one.reason else "")
