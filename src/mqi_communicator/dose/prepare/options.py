"""Settings of the preparation that no engine has: what a planning system computed with, and what a site accepts."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Severity(StrEnum):
    """What a property of a plan leads to."""

    NOTE = "note"
    REVIEW = "review"
    REFUSE = "refuse"


class PreparationOptions(BaseModel):
    """How a plan and its CT are prepared for the engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rejected: Severity = Field(
        default=Severity.REFUSE, description="A plan with ApprovalStatus REJECTED: `note`, `review` or `refuse`."
    )
    not_approved: Severity = Field(
        default=Severity.NOTE, description="A plan with another ApprovalStatus than APPROVED, or none."
    )
    other_intent: Severity = Field(
        default=Severity.NOTE,
        description="A plan whose PlanIntent is not the treatment of a patient (VERIFICATION, MACHINE_QA, RESEARCH, "
        "SERVICE).",
    )
