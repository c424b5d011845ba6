"""Signatures of results: the states of a case and the request to sign, shared by store, flow and dashboard."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class SignatureState(StrEnum):
    """Whether the newest delivered judgement of a case is signed."""

    NONE = ""  # nothing to sign: no judgement is delivered, or another one is under way
    UNSIGNED = "unsigned"
    SECOND_DUE = "second_due"  # accepted once; the site wants a second signature
    SIGNED = "signed"  # accepted
    REJECTED = "rejected"


DUE = (SignatureState.UNSIGNED, SignatureState.SECOND_DUE)  # somebody has to sign


@dataclass(frozen=True, slots=True)
class SignRequest:
    """Who signs what, as recorded with an order to sign. The reason is that of the order."""

    decision: str  # accept or reject
    number: int  # 1 or 2: which signature of these results
    user: str  # the account of the dashboard
    name: str  # of the person, from the account
    title: str
    proof: str  # how the person was authenticated: password or token
    through: str  # dashboard, API, or the command line and its account
    seen: str  # SHA-256 of the manifest.json that was shown to the person

    def text(self) -> str:
        """For the store."""
        return json.dumps(asdict(self), sort_keys=True)


def request_of(text: str) -> SignRequest:
    """The request of an order. ValueError if it is none."""
    try:
        return SignRequest(**json.loads(text))
    except TypeError:
        raise ValueError("this is not a request to sign") from None
