"""A case and its work items: identity, tokens, state, and the files that were admitted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from mqi_communicator.case.identity import CaseIdentity
from mqi_communicator.case.visible import visible, visible_in

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no l, o, 0, 1: keys are read aloud


def new_key() -> str:
    """A random opaque case key (12 characters, about 59 bits). It says nothing about the patient."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


class Status(StrEnum):
    """The state of a work item."""

    READY = "ready"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the work item will not continue unless an operator orders it."""
        return self in (Status.DONE, Status.FAILED, Status.CANCELLED)


class Priority(StrEnum):
    """How soon a case is wanted. Waiting compensates for it: see `rank_of`."""

    URGENT = "urgent"
    ROUTINE = "routine"
    BACKGROUND = "background"


def rank_of(priority: Priority, seen: float, ageing_s: float) -> float:
    """The rank of a case in every queue, lowest first: its arrival (epoch seconds), `ageing_s` earlier for urgent cases
    and later for background ones. So no case waits forever."""
    ahead = {Priority.URGENT: 1.0, Priority.ROUTINE: 0.0, Priority.BACKGROUND: -1.0}
    return seen - ahead[priority] * ageing_s


class CaseKind(StrEnum):
    """What a case is."""

    PLAN = "plan"  # a plan that is recalculated
    DELIVERY = "delivery"  # a folder of what a machine recorded
    FRACTION = "fraction"  # a fraction of a plan, judged from all deliveries that belong to it
    DOSE = "dose"  # the dose of a fraction, computed from what was recorded of it


WITH_DOSE = (CaseKind.PLAN, CaseKind.DOSE)  # the cases whose beams are computed on a host


class Kind(StrEnum):
    """What a file of a case is (DICOM PS3.4 annex B, by SOP Class UID)."""

    CT = "CT"
    PLAN = "RTPLAN"
    STRUCTURES = "RTSTRUCT"
    DOSE = "RTDOSE"
    SPOTS = "spots"  # of a fraction, as they were recorded (`flow.tasks.delivered_spots`)
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a case as admitted. `original` (relative path) may name a patient: it never leaves the spool."""

    stored: str  # name inside spool/<key>/case/
    sha256: str
    size: int  # bytes
    kind: Kind
    sop_instance_uid: str  # "" for files that are not DICOM
    original: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was admitted. `content` is one sha256 over the sorted digests: equal content is the same case."""

    content: str
    lineage: str  # sha256 of the RTPLAN's SOP Instance UID, or of the file without one: revisions share it
    beams: tuple[tuple[int, str], ...]  # (BeamNumber, BeamName) of the treatment beams, in plan order
    files: tuple[StoredFile, ...]
    aside: tuple[tuple[str, str], ...] = ()  # RTDOSE files that are not of this plan: original name, and why
    identity: CaseIdentity | None = None  # None in a manifest of an older version

    def of(self, kind: Kind) -> tuple[StoredFile, ...]:
        """The files of one kind, in stored order."""
        return tuple(f for f in self.files if f.kind is kind)


CASE_ITEM = 0  # beam number of the case's own work item; DICOM BeamNumber starts at 1 in practice


@dataclass(frozen=True, slots=True)
class WorkItem:
    """The state of a case (beam == CASE_ITEM) or of one beam. Changed only by `flow.transitions`.

    Reason and advice may quote hosts, folders and files: their control and format characters become visible escapes.
    """

    case: str
    beam: int
    step: str
    status: Status = Status.READY
    tries: int = 0  # failed tries of this step
    run: int = 1  # number of the beam's current job
    base_run: int = 1  # the first run since the last order to retry: the cap on runs counts from it
    due: float = 0.0  # epoch seconds; not checked before
    since: float = 0.0  # epoch seconds; when this step was entered
    reason: str = ""
    advice: str = ""
    wanted: str = ""  # an order in progress: "cancel" or ""
    needs_person: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", visible(self.reason))
        object.__setattr__(self, "advice", visible(self.advice))

    @property
    def token(self) -> str:
        """Names one job of one beam, everywhere: (case revision, beam, run)."""
        return f"{self.case}-b{self.beam}-r{self.run}"


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded event. Append-only: who, when, from, to, why. Text is escaped as a WorkItem's."""

    at: float
    case: str
    beam: int
    event: str  # stable name: "step.done", "order.cancel", ...
    step: str = ""
    before: str = ""
    after: str = ""
    who: str = "mqi"
    why: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "who", visible(self.who))
        object.__setattr__(self, "why", visible(self.why))
        object.__setattr__(self, "facts", visible_in(self.facts))
