"""What came of looking at a case folder. All of it crosses a process boundary."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.case.model import Kind


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Something has not arrived yet. Nothing is wrong, unless it is `overdue`."""

    missing: tuple[str, ...]  # a sentence each; the CLI may show them, a log may not
    overdue: bool = False  # nothing has changed for longer than the site's patience
    retry_in_s: float | None = None  # the answer may change after so many seconds even if the folder does not

    @property
    def summary(self) -> str:
        """One line for `mqi why`."""
        return "; ".join(self.missing)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The folder does not make a case. A change in it is reason to look again. Logs carry `code` alone."""

    reason: str
    advice: str
    code: str


@dataclass(frozen=True, slots=True)
class Part:
    """One file that belongs to the case, and what it must still look like when it is copied."""

    name: str  # relative to the case folder; may name a patient
    kind: Kind
    sop_instance_uid: str
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Every object that the case refers to is there, and all of them belong together."""

    parts: tuple[Part, ...]  # the plan, the structure set, the doses, the CT by ascending z
    others: tuple[str, ...] = ()  # files that are left aside
    notes: tuple[str, ...] = ()  # what a reader of the verdict should know: "no planned dose"
    aside: tuple[tuple[str, str], ...] = ()  # doses of the folder that are not of this plan: name, and why


Examination = Incomplete | Rejected | Complete
