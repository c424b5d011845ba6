"""Text of unknown origin made fit to be read: what a person typed, a planning system wrote, or somebody planted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mqi_communicator.case.visible import visible

_LONGEST = 64  # characters of a name
_SHORTEST = 3  # letters of a patient's name that are looked for
_HIDDEN = "•••"


def plain(text: str, longest: int = _LONGEST) -> str:
    """One line with single spaces; characters that hide, or turn text around, are escaped; the end of a long one is
    left out."""
    kept = visible(" ".join(text.split()))
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def drawable(text: str, known: Iterable[int]) -> str:
    """The text for a font that knows these code points: any other character is named, `[U+967D]`."""
    points = known if isinstance(known, set | frozenset | dict) else set(known)
    return "".join(c if ord(c) in points else f"[U+{ord(c):04X}]" for c in text)


class Mask:
    """Blacks out the words of a patient's name, id and birth date in what others typed."""

    def __init__(self, *words: str) -> None:
        parts = {part for word in words for part in re.split(r"[\^=,;\s]+", word) if len(part) >= _SHORTEST}
        longest_first = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if parts else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(_HIDDEN, text) if self._pattern else text
