"""How far a run of moqui is, by its log: batches if it counts them, else histories."""

from __future__ import annotations

import re

from mqi_communicator.dose.engine import Progress
from mqi_communicator.dose.moqui.flavour import Flavour
from mqi_communicator.dose.moqui.job_layout import JobLayout, sections_by_program


def read_progress(layout: JobLayout, log_tail: str) -> Progress:
    """How far the runs of moqui are, together. Programs before and after them do not count.

    Unknown (None) before the first batch, and if the tail does not show which of several runs it belongs to.
    """
    own = layout.moqui_programs
    program, part = sections_by_program(layout, log_tail)[-1]
    if program.name in own:
        done = own.index(program.name)
        now = 1.0 if ended(layout.flavour, part.text) else share(layout.flavour, part.text)
    elif program in layout.programs:
        done, now = sum(one.moqui for one in layout.programs[: layout.programs.index(program)]), None
    else:
        done, now = 0, share(layout.flavour, part.text) if len(own) == 1 else None
    if now is None and not done:
        return Progress(None)
    return Progress(min(100.0, 100.0 * (done + (now or 0.0)) / len(own)))


def ended(flavour: Flavour, text: str) -> bool:
    """Whether a run printed its end mark."""
    return re.search(flavour.end, text, re.MULTILINE) is not None


def computed(flavour: Flavour, text: str) -> bool:
    """Whether everything was transported: reported after the last line of progress, which was that of the last
    batch."""
    finished = [found.start() for found in re.finditer(flavour.computed, text, re.MULTILINE)]
    batches_seen = [found.start() for found in re.finditer(flavour.batch or flavour.done, text, re.MULTILINE)]
    part = share(flavour, text, at_end=True)
    return bool(finished) and (not batches_seen or finished[-1] > batches_seen[-1]) and (part is None or part >= 1)


def share(flavour: Flavour, text: str, *, at_end: bool = False) -> float | None:
    """How much of one run is done, 0 to 1. A batch counts when the next begins; `at_end`: when it has begun."""
    if flavour.batch:
        batches = re.findall(flavour.batch, text, re.MULTILINE)
        return (int(batches[-1][0]) - (not at_end)) / max(int(batches[-1][1]), 1) if batches else None
    done, total = last(flavour.done, text), last(flavour.histories, text)
    return min(int(done) / int(total), 1.0) if done and total and int(total) else None


def last(pattern: str, text: str) -> str | None:
    """What the last match of the pattern found; None without a match or a pattern."""
    found = re.findall(pattern, text, re.MULTILINE) if pattern else []
    return str(found[-1]) if found else None
