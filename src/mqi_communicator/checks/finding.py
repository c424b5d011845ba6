"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.case.visible import visible


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, with unusual characters of host output escaped. `advice` says what to do if not ok."""

    ok: bool
    what: str
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", visible(self.what))
        object.__setattr__(self, "advice", visible(self.advice))


def passed(what: str) -> Finding:
    """A check that passed."""
    return Finding(ok=True, what=what)


def failed(what: str, advice: str) -> Finding:
    """A check that failed, and what to do."""
    return Finding(ok=False, what=what, advice=advice)
