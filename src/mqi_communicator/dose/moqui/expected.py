"""What a job of moqui consists of, and which of its programs each part of its log belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqi_communicator.dose.moqui.asked import asked_in
from mqi_communicator.dose.moqui.flavour import Complaint, Flavour
from mqi_communicator.dose.moqui.sections import Section, sections


@dataclass(frozen=True, slots=True)
class Step:
    """One program of the job: moqui itself, or one of the site's."""

    name: str
    complaints: tuple[Complaint, ...]
    moqui: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a job of this configuration consists of."""

    flavour: Flavour
    steps: tuple[Step, ...]
    answer: str  # format in which doses are read
    products: tuple[str, ...]  # paths of the doses, without suffix, one per run

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of moqui's own programs."""
        return tuple(step.name for step in self.steps if step.moqui)


def parts_of(expected: Expected, log: str) -> list[tuple[Step, Section]]:
    """Each section of the log with its step. Its beginning may be lost, and with it the first mark."""
    known = {step.name: step for step in expected.steps}
    found = sections(log)
    named = [(known.get(part.name, Step(part.name, ())), part) for part in found if part.name]
    if not found[0].name:
        named.insert(0, (_unmarked(expected, log, [step for step, _part in named]), found[0]))
    return named


def _unmarked(expected: Expected, log: str, following: Sequence[Step]) -> Step:
    """The step of a section without a mark: the one before the first mark, the last of an ended job, else any."""
    if following and following[0] in expected.steps[1:]:
        return expected.steps[expected.steps.index(following[0]) - 1]
    if not following and asked_in(log):
        return expected.steps[-1]
    own = all(step.moqui for step in expected.steps)
    return Step("moqui" if own else "the job", tuple(one for step in expected.steps for one in step.complaints), own)
