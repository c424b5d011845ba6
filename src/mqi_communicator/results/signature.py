"""A physicist's decision about a verdict; it never changes the verdict. Pure.

`signature.json` contains the digest of the manifest, which contains those of all delivered files: the signature is
valid only for unchanged results.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.case.visible import visible
from mqi_communicator.results.verdict import CheckOutcome

SIGNATURE = "signature.json"


class Decision(StrEnum):
    """The decision of a physicist."""

    ACCEPT = "accept"
    REJECT = "reject"


class SignatureDocument(BaseModel):
    """The format of signature.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI signature")

    format: Literal["mqi-signature/1"] = Field("mqi-signature/1", alias="schema", description="Name and version.")
    case: str = Field(description="The opaque key of the case.")
    decision: Decision = Field(description="accept or reject.")
    name: str = Field(min_length=2, max_length=80, description="Name of the signer.")
    role: str = Field(min_length=2, max_length=80, description="Role of the signer.")
    reason: str = Field(max_length=500, description="Reason; required if the decision overrides the verdict.")
    signed: str = Field(description="UTC, ISO 8601.")
    account: str = Field(description="The account on this computer that signed.")
    verdict: CheckOutcome = Field(description="The signed verdict; a signature does not change it.")
    overrides: bool = Field(description="Whether the decision contradicts the verdict.")
    manifest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the manifest.json that was signed.")

    @property
    def summary(self) -> str:
        """A one-line summary."""
        against = f", against the verdict {self.verdict.value}" if self.overrides else ""
        why = f": {self.reason}" if self.reason else ""
        return visible(f"{self.decision.value}ed by {self.name} ({self.role}) at {self.signed}{against}{why}")


def overrides(decision: Decision, verdict: CheckOutcome) -> bool:
    """Whether a decision contradicts a verdict. Neither decision contradicts a `review`."""
    if decision is Decision.ACCEPT:
        return verdict not in (CheckOutcome.PASS, CheckOutcome.REVIEW)
    return verdict is CheckOutcome.PASS
