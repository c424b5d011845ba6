"""The input file as moqui reads it: one blank between key and value, the first of two keys, and its ways to die.

Behaviour of mqi_file_handler.hpp and mqi_utils.hpp of MGHPhysicsResearch/moquimc.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.standin.program import throw

_BLANKS = " \f\n\r\t\v"


class Parameters:
    """Looked up one by one, each with its default; what is not a number is 0."""

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            throw("Cannot open input parameter file.")
        self._lines: list[str] = []
        for line in Path(path).read_text().split("\n"):
            if line == "":
                continue
            trimmed = _trim(line)
            if trimmed.startswith("#"):
                continue
            self._lines.append(trimmed.split("#", 1)[0])

    def text(self, key: str, default: str = "") -> str:
        for line in self._lines:
            name, blank, value = line.partition(" ")
            if blank and _trim(name).lower() == key.lower():
                return _trim(value)
        return default

    def whole(self, key: str, default: int) -> int:
        found = re.match(r"\s*([-+]?\d+)", self.text(key, str(default)))
        return int(found[1]) if found else 0

    def number(self, key: str, default: float) -> float:
        found = re.match(r"\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?|[-+]?\d+\.?)", self.text(key, str(default)))
        return float(found[1]) if found else 0.0

    def truth(self, key: str, *, default: bool) -> bool:
        word = self.text(key, str(int(default)))
        return word.lower() == "true" or bool(re.match(r"[-+]?0*[1-9]", word))

    def wholes(self, key: str) -> list[int]:
        words = [word for word in self.text(key).split(",") if word.strip()]
        return [int(found[1]) if (found := re.match(r"\s*([-+]?\d+)", word)) else 0 for word in words]


def _trim(text: str) -> str:
    """Without blanks at both ends; a text of nothing else is more than it bears."""
    trimmed = text.strip(_BLANKS)
    if not trimmed:
        throw(
            "basic_string::substr: __pos (which is 18446744073709551615) > this->size() (which is 0)",
            "std::out_of_range",
        )
    return trimmed
