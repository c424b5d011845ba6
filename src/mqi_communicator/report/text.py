"""Sanitizes text of unknown origin: labels that were typed, written by a planning system, or malicious."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mqi_communicator.case.visible import visible

_LONGEST = 64  # characters of a name
_SHORTEST = 3  # letters; shorter parts of a name are not masked
_HIDDEN = "•••"


def one_line(text: str, longest: int = _LONGEST) -> str:
    """One line with single spaces; invisible and bidirectional control characters are escaped; long text is
    truncated."""
    kept = visible(" ".join(text.split()))
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def drawable(text: str, known: Iterable[int]) -> str:
    """The text for a font with these code points: other characters are shown as `[U+967D]`."""
    points = known if isinstance(known, set | frozenset | dict) else set(known)
    return "".join(c if ord(c) in points else f"[U+{ord(c):04X}]" for c in text)


class Mask:
    """Masks the parts of a patient's name, id and birth date in labels."""

    def __init__(self, *names: str) -> None:
        parts = {part for name in names for part in re.split(r"[\^=,;\s]+", name) if len(part) >= _SHORTEST}
        longest_first = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if parts else None

    def __call__(self, text: str) -> str:
        """The masked text."""
        return self._pattern.sub(_HIDDEN, text) if self._pattern else text
