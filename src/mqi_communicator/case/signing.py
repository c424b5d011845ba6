"""Signatures of results: the states of a case, shared by the store, the flow and the dashboard."""

from __future__ import annotations

from enum import StrEnum


class SignatureState(StrEnum):
    """Whether the newest delivered judgement of a case is signed."""

    NONE = ""  # nothing to sign: no judgement is delivered, or another one is under way
    UNSIGNED = "unsigned"
    SECOND_DUE = "second_due"  # accepted once; the site wants a second signature
    SIGNED = "signed"  # accepted
    REJECTED = "rejected"


DUE = (SignatureState.UNSIGNED, SignatureState.SECOND_DUE)  # somebody has to sign
