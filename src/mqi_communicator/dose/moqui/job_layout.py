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
class JobProgram:
    """One program of the job: moqui itself, or one of the site."""

    name: str
    error_patterns: tuple[ErrorPattern, ...]
    moqui: bool = False


@dataclass(frozen=True, slots=True)
class JobLayout:
    """What the job of one beam consists of in the current configuration. The job may have been submitted under an
    earlier one."""

    flavour: Flavour
    programs: tuple[JobProgram, ...]  # in the order in which they run
    read_format: str  # format of the doses that are fetched: as requested, or as a program of the site converts them
    dose_paths_by_devices: tuple[tuple[str, ...], ...]  # [devices][seed]: paths of the beam's doses without suffix

    def dose_paths(self, devices: int) -> tuple[str, ...]:
        """Paths of the doses without suffix, below the run folder, one per seed. `devices`: that the beam has."""
        return self.dose_paths_by_devices[min(devices, len(self.dose_paths_by_devices) - 1)]

    @property
    def moqui_programs(self) -> tuple[str, ...]:
        """Names of the programs that are moqui itself, one per seed."""
        return tuple(program.name for program in self.programs if program.moqui)


def sections_by_program(layout: JobLayout, log: str, *, whole: bool = False) -> list[tuple[JobProgram, Section]]:
    """Each section of the log with its program. A log that is not `whole` may lack lines in its middle,
    `mqi-program` lines among them: the beginning and the end of one program are then joined."""
    found = sections(log) if whole else excerpt_sections(log)
    known = {program.name: program for program in layout.programs}
    parts: list[tuple[JobProgram, Section]] = []
    for i, part in enumerate(found):
        if part.name:
            parts.append((known.get(part.name, JobProgram(part.name, ())), part))
            continue
        before = parts[-1][0] if parts else None
        after = known.get(found[i + 1].name) if i + 1 < len(found) else None
        program = _unmarked(layout, log, before, after)
        if before is not None and program == before:
            earlier = parts.pop()[1]
            parts.append((program, Section(before.name, f"{earlier.text}\n{part.text}", whole=False)))
        else:
            parts.append((program, part))
    return parts


def _unmarked(layout: JobLayout, log: str, before: JobProgram | None, after: JobProgram | None) -> JobProgram:
    """The program of a section whose `mqi-program` line is missing, between the programs `before` and `after` it (None:
    unknown, or there is none).

    If `after` is known: the program before that one. If every program succeeded (the line that a job writes last is
    there): the last program. Otherwise it may be `before` or any later one: if several are left, a substitute with the
    error patterns of them all, which is moqui's own only if all of them are."""
    programs = layout.programs
    if after in programs[1:]:
        return programs[programs.index(after) - 1]
    if after is None and requested_in(log):
        return programs[-1]
    left = programs[programs.index(before) :] if before in programs else programs
    if len(left) == 1:
        return left[0]
    own = all(program.moqui for program in left)
    return JobProgram(
        "moqui" if own else "the job", tuple(one for program in left for one in program.error_patterns), own
    )
