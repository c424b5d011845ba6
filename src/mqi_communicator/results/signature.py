"""A person's decision about a verdict: it stands beside the verdict and never alters it. Pure.

`signature.json` names the manifest by digest, and so every delivered file: what was signed is what lies there, or the
signature does not hold.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.case.visible import visible
from mqi_communicator.results.verdict import CheckOutcome

SIGNATURE = "signature.json"


class Decision(StrEnum):
    """What a physicist decides."""

    ACCEPT = "accept"
    REJECT = "reject"


class SignatureDocument(BaseModel):
    """One signature, as it lies beside the results."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI signature")

    format: Literal["mqi-signature/1"] = Field("mqi-signature/1", alias="schema", description="Name and version.")
    case: str = Field(description="The opaque key of the case.")
    decision: Decision = Field(description="accept or reject.")
    name: str = Field(min_length=2, max_length=80, description="Who signs.")
    role: str = Field(min_length=2, max_length=80, description="As what.")
    reason: str = Field(max_length=500, description="Why; required where the decision overrides the verdict.")
    signed: str = Field(description="UTC, ISO 8601.")
    account: str = Field(description="The account on this computer under which it was signed.")
    verdict: CheckOutcome = Field(description="The verdict that was signed. It stays what it is.")
    overrides: bool = Field(description="Whether the decision goes against the verdict.")
    manifest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the manifest.json that was signed.")

    @property
    def line(self) -> str:
        """For people, in one line."""
        against = f", against the verdict {self.verdict.value}" if self.overrides else ""
        why = f": {self.reason}" if self.reason else ""
        return visible(f"{self.decision.value}ed by {self.name} ({self.role}) at {self.signed}{against}{why}")


def overrides(decision: Decision, verdict: CheckOutcome) -> bool:
    """Whether a decision goes against a verdict. A `review` is for people to decide: neither decision overrides it."""
    if decision is Decision.ACCEPT:
        return verdict not in (CheckOutcome.PASS, CheckOutcome.REVIEW)
    return verdict is CheckOutcome.PASS
