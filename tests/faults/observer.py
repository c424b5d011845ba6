"""Observe processes and the host's records during a round, without code of the product."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_TOKEN = re.compile(r"([A-Za-z0-9]+-b\d+)-r(\d+)")
_MARK = re.compile(rb"(?:^|\0)MQI_TOKEN=([A-Za-z0-9-]+)")


class Observer:
    """Record what is only visible for a while: two simultaneous runs of a beam, a gate with another owner."""

    def __init__(self, *remotes: Path) -> None:
        self._remotes = remotes
        self._gates: dict[str, str] = {}
        self.together: set[str] = set()  # two runs of one beam alive at once
        self.changed: set[str] = set()  # gates whose owner changed
        self.exits: dict[str, str] = {}  # of every job whose exit file was seen

    def look(self) -> None:
        """Observe once; takes a few milliseconds."""
        beams: dict[str, set[str]] = defaultdict(set)
        for token in alive():
            if found := _TOKEN.fullmatch(token):
                beams[found[1]].add(token)
        self.together |= {" and ".join(sorted(tokens)) for tokens in beams.values() if len(tokens) > 1}
        for remote in self._remotes:
            for record in remote.glob("gates/*/started"):
                with suppress(OSError):
                    self._compare(record.parent.name, record.read_text())
            for record in remote.glob("cases/*/runs/*/exit"):
                with suppress(OSError):
                    self.exits[record.parent.name] = record.read_text().strip()

    def forget(self, token: str) -> None:
        """Ignore the next change of this gate's record, which is deliberate."""
        self._gates.pop(token, None)

    def _compare(self, token: str, owner: str) -> None:
        before = self._gates.setdefault(token, owner)
        if owner and before and owner != before:
            self.changed.add(token)
        self._gates[token] = owner or before


def alive() -> set[str]:
    """The tokens of jobs with a live process; zombies do not count."""
    tokens = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (found := _MARK.search((folder / "environ").read_bytes())) and not _is_dead(folder):
                tokens.add(found[1].decode())
    return tokens


def _is_dead(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(") ")[2][:1] in "ZX"
