"""Sanitizes text of unknown origin: labels that were typed, written by a planning system, or malicious."""

from __future__ import annotations

from collections.abc import Iterable

from mqi_communicator.case.visible import visible

_LONGEST = 64  # characters of a name


def one_line(text: str, longest: int = _LONGEST) -> str:
    """One line with single spaces; invisible and bidirectional control characters are escaped; long text is
    truncated."""
    kept = visible(" ".join(text.split()))
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def printed(outcome: str) -> str:
    """An outcome as it is printed in large letters."""
    return outcome.replace("_", " ").upper()


def titled(title: str, centre: str) -> str:
    """A title, with the name of the centre if there is one."""
    return f"{one_line(centre)}: {title}" if centre else title


def drawable(text: str, known: Iterable[int]) -> str:
    """The text for a font with these code points: other characters are shown as `[U+967D]`."""
    points = known if isinstance(known, set | frozenset | dict) else set(known)
    return "".join(c if ord(c) in points else f"[U+{ord(c):04X}]" for c in text)
