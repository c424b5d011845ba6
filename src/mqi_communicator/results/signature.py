"""A physicist's decision about a verdict; it never changes the verdict. Pure.

A signature names the digests of what was signed: the manifest, which contains those of all delivered files, and among
these the plan, the verdict and the report. It is valid only for unchanged results.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.case.signing import SignatureState
from mqi_communicator.case.visible import visible
from mqi_communicator.results.verdict import CheckOutcome

SIGNATURE, SECOND = "signature.json", "signature-2.json"
SIGNATURES = (SIGNATURE, SECOND)
SIGNED_REPORTS = ("report-signed.pdf", "report-signed-2.pdf")
LONGEST_REASON = 500  # characters


class Decision(StrEnum):
    """The decision of a physicist."""

    ACCEPT = "accept"
    REJECT = "reject"


class SignatureDocument(BaseModel):
    """The format of signature.json and signature-2.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI signature")

    format: Literal["mqi-signature/1", "mqi-signature/2"] = Field(
        "mqi-signature/2", alias="schema", description="Name and version."
    )
    case: str = Field(description="The opaque key of the case.")
    decision: Decision = Field(description="accept or reject.")
    name: str = Field(min_length=2, max_length=80, description="Name of the signer, from the account.")
    role: str = Field(min_length=2, max_length=80, description="Title of the signer, from the account.")
    reason: str = Field(max_length=LONGEST_REASON, description="Reason; required unless a pass is accepted.")
    signed: str = Field(description="UTC, ISO 8601.")
    account: str = Field(description="The account of the dashboard that signed. Format 1: the account on the computer.")
    verdict: CheckOutcome = Field(description="The signed verdict; a signature does not change it.")
    overrides: bool = Field(description="Whether the decision contradicts the verdict.")
    manifest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the manifest.json that was signed.")
    number: Literal[1, 2] = Field(1, description="First or second signature.")
    proof: Literal["", "password", "token"] = Field("", description="How the account was verified.")
    through: str = Field("", max_length=120, description="dashboard, API, or command line with the computer's account.")
    digests: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 by name: the plan (RTPLAN), verdict.json, report.pdf, the signed report; in a second "
        "signature also signature.json.",
    )

    @property
    def at(self) -> float:
        """When it was signed, in epoch seconds."""
        return datetime.fromisoformat(self.signed).timestamp()

    @property
    def who(self) -> str:
        """Name, title and account."""
        return f"{self.name}, {self.role} ({self.account})"

    @property
    def headline(self) -> str:
        """Decision, person and time; without the reason, which a person has typed."""
        return visible(f"{self.decision.value}ed by {self.who} at {self.signed}")

    @property
    def summary(self) -> str:
        """A one-line summary, with the reason."""
        against = f", against the verdict {self.verdict.value}" if self.overrides else ""
        why = f": {self.reason}" if self.reason else ""
        return visible(f"{self.headline}{against}{why}")


def overrides(decision: Decision, verdict: CheckOutcome) -> bool:
    """Whether a decision contradicts a verdict. Neither decision contradicts a `review`."""
    if decision is Decision.ACCEPT:
        return verdict not in (CheckOutcome.PASS, CheckOutcome.REVIEW)
    return verdict is CheckOutcome.PASS


def needs_reason(decision: Decision, verdict: CheckOutcome) -> bool:
    """Whether a reason is required: always, except to accept a pass."""
    return not (decision is Decision.ACCEPT and verdict is CheckOutcome.PASS)


def state_of(signatures: Sequence[SignatureDocument], *, second: bool) -> SignatureState:
    """The state of results with these signatures. `second`: an acceptance needs a second one."""
    if not signatures:
        return SignatureState.UNSIGNED
    if any(signature.decision is Decision.REJECT for signature in signatures):
        return SignatureState.REJECTED
    return SignatureState.SECOND_DUE if second and len(signatures) == 1 else SignatureState.SIGNED
