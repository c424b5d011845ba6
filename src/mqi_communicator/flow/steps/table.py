"""The steps of a case, in order. `flow/steps/functions.py` binds each to its function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mqi_communicator.case.model import CASE_ITEM, WorkItem

Resource = Literal["", "admissions", "workers", "transfers"]


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the way."""

    name: str
    limit: Resource  # which limit of `resources` bounds how many of these run at once
    limit_s: float  # the longest one try may take; calls within it have deadlines of their own
    activity: str  # for people: "the case is being sent to the host"
    only_polls: bool = False  # it only looks at what happens elsewhere: a stop does not wait for it


HOUR = 3600.0

CASE_STEPS = (
    Step("admit", "admissions", 4 * HOUR, "being checked and copied to the spool"),
    Step("prepare", "workers", HOUR, "the engine's input is being written"),
    Step("upload", "transfers", 8 * HOUR, "being sent to the host"),
    # here each beam goes its own way, through BEAM_STEPS; the case goes on when all of them have ended
    Step("compare", "workers", HOUR, "being compared with the planned dose"),
    Step("report", "workers", 2 * HOUR, "the report is being drawn"),
    Step("deliver", "workers", HOUR, "the results are being delivered"),
    Step("extend", "", HOUR, "whether a longer run is due is looked up"),  # from here back to prepare, once
    Step("tidy", "", HOUR, "the host is being tidied"),
)

BEAM_STEPS = (
    Step("submit", "", 10 * 60.0, "the job is being handed to the host"),
    Step("follow", "", 10 * 60.0, "the dose engine is computing", only_polls=True),
    Step("collect", "transfers", 4 * HOUR, "the dose is being brought home"),
    Step("verify", "workers", HOUR, "the dose is being checked"),
)


def steps_of(item: WorkItem) -> tuple[Step, ...]:
    """The steps of this kind of line."""
    return CASE_STEPS if item.beam == CASE_ITEM else BEAM_STEPS


def step_of(item: WorkItem) -> Step:
    """Where a line stands."""
    return next(step for step in steps_of(item) if step.name == item.step)


def after(item: WorkItem) -> str | None:
    """The name of the step that follows, None after the last."""
    names = [step.name for step in steps_of(item)]
    following = names[names.index(item.step) + 1 :]
    return following[0] if following else None
