"""The programs that a job of moqui consists of, and the one that each part of its log belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.dose.moqui.flavour import ErrorPattern, Flavour
from mqi_communicator.dose.moqui.requested import requested_in
from mqi_communicator.dose.moqui.sections import Section, excerpt_sections, sections


@dataclass(frozen=True, slots=True)
class Step:
    """One program of the job: moqui itself, or one of the site."""

    name: str
    error_patterns: tuple[ErrorPattern, ...]
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


def parts_of(expected: Expected, log: str, *, whole: bool = False) -> list[tuple[Step, Section]]:
    """Each section of the log with its step. Unless the log is `whole`, parts and their marks may be left out: the two
    remaining parts of one step are one section."""
    found = sections(log) if whole else excerpt_sections(log)
    known = {step.name: step for step in expected.steps}
    parts: list[tuple[Step, Section]] = []
    for i, part in enumerate(found):
        if part.name:
            parts.append((known.get(part.name, Step(part.name, ())), part))
            continue
        before = parts[-1][0] if parts else None
        after = known.get(found[i + 1].name) if i + 1 < len(found) else None
        step = _unmarked(expected, log, before, after)
        if before is not None and step == before:
            earlier = parts.pop()[1]
            parts.append((step, Section(before.name, f"{earlier.text}\n{part.text}", whole=False)))
        else:
            parts.append((step, part))
    return parts


def _unmarked(expected: Expected, log: str, before: Step | None, after: Step | None) -> Step:
    """The step of a section without a mark, from the marks before and after it: the step before the next mark, the last
    step of an ended job, or one of several."""
    steps = expected.steps
    if after in steps[1:]:
        return steps[steps.index(after) - 1]
    if after is None and requested_in(log):
        return steps[-1]
    left = steps[steps.index(before) :] if before in steps else steps
    if len(left) == 1:
        return left[0]
    own = all(step.moqui for step in left)
    return Step("moqui" if own else "the job", tuple(one for step in left for one in step.error_patterns), own)
