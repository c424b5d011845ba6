"""A run's log as polling the host returns it: whole, or its beginning and its end with a mark between them.

The host script writes `mqi-cut N` where it left out N bytes (remote/verbs/look.sh). A program can print that
line too: do not search for it in a whole log.
"""

from __future__ import annotations

import re

LOG_BYTES = 64 << 20  # of a whole log: a longer one is not read
_CUT = re.compile(r"^mqi-cut \d+\n", re.MULTILINE)


def pieces(log: str) -> list[str]:
    """The parts of the log that are present, in order: one if nothing was left out. Lines that were cut are dropped."""
    found = _CUT.split(log)
    last = len(found) - 1
    return [_whole_lines(piece, begins=i == 0, ends=i == last) for i, piece in enumerate(found)]


def _whole_lines(piece: str, *, begins: bool, ends: bool) -> str:
    if not ends:  # the mark is on a line of its own: the script started one for it
        piece = piece.removesuffix("\n")
        piece = piece[: piece.rfind("\n") + 1]
    return piece if begins else piece[piece.find("\n") + 1 :] if "\n" in piece else ""
