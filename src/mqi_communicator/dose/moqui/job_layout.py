"""The programs that a job of moqui consists of, and which of them wrote each section of its log.

The job writes a line `mqi-program NAME` before each program (see `sections`). An excerpt of the log may lack such
lines.
"""

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
class JobLayout:
    """What a job of this configuration consists of."""

    flavour: Flavour
    steps: tuple[Step, ...]
    read_format: str  # format in which doses are read
    dose_paths: tuple[str, ...]  # paths of the doses, without suffix, one per run

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of moqui's own programs."""
        return tuple(step.name for step in self.steps if step.moqui)


def sections_by_step(layout: JobLayout, log: str, *, whole: bool = False) -> list[tuple[Step, Section]]:
    """Each section of the log with its step. A log that is not `whole` may lack lines in its middle,
    `mqi-program` lines among them: the beginning and the end of one step are then joined."""
    found = sections(log) if whole else excerpt_sections(log)
    known = {step.name: step for step in layout.steps}
    parts: list[tuple[Step, Section]] = []
    for i, part in enumerate(found):
        if part.name:
            parts.append((known.get(part.name, Step(part.name, ())), part))
            continue
        before = parts[-1][0] if parts else None
        after = known.get(found[i + 1].name) if i + 1 < len(found) else None
        step = _unmarked(layout, log, before, after)
        if before is not None and step == before:
            earlier = parts.pop()[1]
            parts.append((step, Section(before.name, f"{earlier.text}\n{part.text}", whole=False)))
        else:
            parts.append((step, part))
    return parts


def _unmarked(layout: JobLayout, log: str, before: Step | None, after: Step | None) -> Step:
    """The step of a section whose `mqi-program` line is missing. If the next section is known: the step before it. If
    the job has ended: the last step. Otherwise: any step that is not yet excluded."""
    steps = layout.steps
    if after in steps[1:]:
        return steps[steps.index(after) - 1]
    if after is None and requested_in(log):
        return steps[-1]
    left = steps[steps.index(before) :] if before in steps else steps
    if len(left) == 1:
        return left[0]
    own = all(step.moqui for step in left)
    return Step("moqui" if own else "the job", tuple(one for step in left for one in step.error_patterns), own)
