"""What came of one try of a step. A fault (case.faults) is the other possibility."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Done:
    """The effect exists and was proved. `facts` go into the event. `last`: the line ends here, whatever follows."""

    facts: dict[str, object] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is wrong; look again in `seconds`. `why` is one line for `mqi why`.

    `parked`: only something outside this line can move it on (a missing file, another line, a person).
    `code` stands in the log instead of a `why` that may quote a file's name.
    """

    seconds: float
    why: str
    needs_person: bool = False
    parked: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class NewRun:
    """The beam's job has ended by evidence, without a result that counts: another may follow.

    `beyond`: the runs up to this number are spent; the next one comes after them, and the cap on runs counts from it.
    """

    why: str
    facts: dict[str, object] = field(default_factory=dict)
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class Resend:
    """What was uploaded is gone from the host: the case goes back to its upload, this beam waits for it."""

    why: str


@dataclass(frozen=True, slots=True)
class Extend:
    """Every beam of the case is computed once more, each with a new run: the case goes back to `prepare`."""

    why: str
    facts: dict[str, object] = field(default_factory=dict)


Outcome = Done | Wait | NewRun | Resend | Extend
