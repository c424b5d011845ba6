"""The state of a case in one word, the same on every page, in the terminal, in the API and in exports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mqi_communicator.case.signing import DUE

State = Literal["to_review", "action_required", "running", "waiting", "held", "done", "failed", "cancelled"]
BeamState = Literal["action_required", "computing", "running", "waiting", "held", "done", "failed", "cancelled"]
Group = Literal["to_review", "action_required", "running", "waiting", "held"]
STATES: tuple[State, ...] = (
    "to_review",
    "action_required",
    "running",
    "waiting",
    "held",
    "done",
    "failed",
    "cancelled",
)
GROUP_TITLES: Mapping[Group, str] = {
    "to_review": "To review",
    "action_required": "Action required",
    "running": "Running",
    "waiting": "Waiting",
    "held": "Held",
}
ON_HOST = ("follow", "collect", "verify")  # steps of a beam whose job has started
_PASS = "pass"  # noqa: S105 - not a password


def is_due(signature: str, verdict: str, superseded_by: str, constancy: str, *, passes: bool) -> bool:
    """Whether somebody has to review and sign the newest judgement. `passes`: also if it is a pass.

    A plan with a newer revision needs no review, and neither does a constancy sample that passed.
    """
    passed = verdict == _PASS
    return signature in DUE and not superseded_by and not (passed and (constancy or not passes))


def words(state: str) -> str:
    """A state or verdict as it is shown: action_required is "action required"."""
    return state.replace("_", " ")
