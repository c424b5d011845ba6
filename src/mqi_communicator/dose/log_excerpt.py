"""A run's log as a look at the host shows it: whole, or its beginning and its end with a mark between them.

The host's script writes `mqi-cut N` where it left N bytes out (remote/verbs/look.sh). A program can print that line
too: whoever has the whole log must not look for it.
"""

from __future__ import annotations

import re

LOG_BYTES = 64 << 20  # of a whole log: a longer one is not read
_CUT = re.compile(r"^mqi-cut \d+\n", re.MULTILINE)


def pieces(log: str) -> list[str]:
    """What was not left out, in its order: one piece if nothing was. Lines that were cut through are dropped."""
    found = _CUT.split(log)
    last = len(found) - 1
    return [_whole_lines(piece, begins=i == 0, ends=i == last) for i, piece in enumerate(found)]


def _whole_lines(piece: str, *, begins: bool, ends: bool) -> str:
    if not ends:  # the mark is on a line of its own: the script began one for it
        piece = piece.removesuffix("\n")
        piece = piece[: piece.rfind("\n") + 1]
    return piece if begins else piece[piece.find("\n") + 1 :] if "\n" in piece else ""
