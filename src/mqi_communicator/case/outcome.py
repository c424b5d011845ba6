"""The outcomes of one try of a step. A fault (case.faults) is the alternative."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Done:
    """The effect exists and was verified. `facts` go into the event. `last`: the work item ends with this step."""

    facts: dict[str, object] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is wrong; check again in `seconds`. `why` is one line for `mqi why`.

    `parked`: only something else can make the item continue (a missing file, another item, an operator).
    `code` is logged instead of a `why` that may quote a file's name.
    """

    seconds: float
    why: str
    needs_person: bool = False
    parked: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class NewRun:
    """The beam's job has provably ended without a valid result: another run may follow.

    `beyond`: the runs up to this number are spent; the next run follows them, and the cap on runs counts from it.
    """

    why: str
    facts: dict[str, object] = field(default_factory=dict)
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class Resend:
    """The uploaded input is missing on the host: the case returns to its upload, and this beam waits for it."""

    why: str


@dataclass(frozen=True, slots=True)
class Extend:
    """Every beam of the case is computed once more, each with a new run: the case returns to `prepare`."""

    why: str
    facts: dict[str, object] = field(default_factory=dict)


Outcome = Done | Wait | NewRun | Resend | Extend
