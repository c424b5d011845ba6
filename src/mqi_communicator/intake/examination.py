"""Results of examining a case folder. All of them cross a process boundary."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.case.model import Kind


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Something has not arrived yet. This is no error unless `overdue`."""

    missing: tuple[str, ...]  # one sentence each; shown by the CLI, never logged
    overdue: bool = False  # nothing has changed for longer than intake.patience_s
    retry_in_s: float | None = None  # the result may change after this time even if the folder does not

    @property
    def summary(self) -> str:
        """One line for `mqi why`."""
        return "; ".join(self.missing)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The folder is not an acceptable case. It is examined again when it changes. Logs contain only `code`."""

    reason: str
    advice: str
    code: str


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the case, and the size and time that it must still have when it is copied."""

    name: str  # relative to the case folder; may name a patient
    kind: Kind
    sop_instance_uid: str
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Every object that the case refers to is present, and all of them belong together."""

    parts: tuple[Part, ...]  # the plan, the structure set, the doses, the CT by ascending z
    others: tuple[str, ...] = ()  # files that are ignored
    notes: tuple[str, ...] = ()  # remarks for readers of the verdict: "no planned dose"
    aside: tuple[tuple[str, str], ...] = ()  # ignored doses that are not of this plan: name and reason


Examination = Incomplete | Rejected | Complete
