"""The steps of a case, in order, and which limit bounds each. `flow/steps/functions.py` binds each to its function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mqi_communicator.case.model import CASE_ITEM, WorkItem

Limit = Literal["", "admissions", "preparations", "comparisons", "reports", "transfers"]
# The setting of `resources` that holds each limit. The three kinds of CPU-heavy steps have slots of their own: a long
# report delays no verdict.
SETTINGS: dict[Limit, str] = {
    "admissions": "admissions",
    "preparations": "workers",
    "comparisons": "workers",
    "reports": "workers",
    "transfers": "transfers",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table."""

    name: str
    limit: Limit  # which limit bounds how many of these run at once; "" for none
    limit_s: float  # the longest one try may take; calls within it have deadlines of their own
    activity: str  # shown to users: "the case is being sent to the host"
    only_polls: bool = False  # it only queries what happens elsewhere: a stop does not wait for it


HOUR = 3600.0

CASE_STEPS = (
    Step("admit", "admissions", 4 * HOUR, "being checked and copied to the spool"),
    Step("prepare", "preparations", HOUR, "the engine's input is being written"),
    Step("upload", "transfers", 8 * HOUR, "being sent to the host"),
    # here each beam passes through BEAM_STEPS on its own; the case continues when all of them have ended
    Step("compare", "comparisons", HOUR, "being compared with the planned dose"),
    Step("report", "reports", 2 * HOUR, "the report is being generated"),
    Step("deliver", "reports", HOUR, "the results are being delivered"),
    Step("extend", "", HOUR, "checking whether a longer run is due"),  # from here back to prepare, once
    Step("tidy", "", HOUR, "the host is being cleaned up"),
)

DELIVERY_STEPS = (
    Step("receive", "admissions", 4 * HOUR, "being checked and copied to the spool"),
    Step("join", "comparisons", HOUR, "being joined to its plan"),
)

FRACTION_STEPS = (
    Step("judge", "comparisons", HOUR, "being compared with the plan"),
    Step("document", "reports", 2 * HOUR, "the report is being generated"),
    Step("publish", "reports", HOUR, "the results are being delivered"),
    CASE_STEPS[-1],
)

DOSE_STEPS = (Step("reconstruct", "preparations", HOUR, "the recorded spots are being written"), *CASE_STEPS[1:])

BEAM_STEPS = (
    Step("submit", "", 10 * 60.0, "the job is being submitted to the host"),
    Step("follow", "", 10 * 60.0, "the dose engine is computing", only_polls=True),
    Step("collect", "transfers", 4 * HOUR, "the dose is being fetched"),
    Step("verify", "comparisons", HOUR, "the dose is being checked"),
)


_DELIVERED = (*DELIVERY_STEPS, *FRACTION_STEPS[:-1], DOSE_STEPS[0])
ALL_STEPS = (*CASE_STEPS, *BEAM_STEPS, *_DELIVERED)
IN_ORDER = (*CASE_STEPS[:3], *BEAM_STEPS, *CASE_STEPS[3:], *_DELIVERED)  # of what happens to a plan, then to a delivery


def steps_of(item: WorkItem) -> tuple[Step, ...]:
    """The steps of a plan, a delivery, a fraction, its dose or a beam; where two have a step, the same follow it."""
    if item.beam != CASE_ITEM:
        return BEAM_STEPS
    sequences = (CASE_STEPS, DELIVERY_STEPS, FRACTION_STEPS, DOSE_STEPS)
    return next(steps for steps in sequences if any(step.name == item.step for step in steps))


def step_of(item: WorkItem) -> Step:
    """The step that a work item is at."""
    return next(step for step in steps_of(item) if step.name == item.step)


def next_step(item: WorkItem) -> str | None:
    """The name of the step that follows; None after the last."""
    names = [step.name for step in steps_of(item)]
    following = names[names.index(item.step) + 1 :]
    return following[0] if following else None
