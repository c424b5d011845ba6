"""Who may sign, and in whose name: the account's. Used by the dashboard and the command line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.signing import SignatureState, SignRequest
from mqi_communicator.web.options import Role
from mqi_communicator.web.users import User

MANIFEST = "manifest.json"
ROLE: Role = "physicist"


def sign_request(
    user: User, decision: str, *, proof: Literal["password", "token"], through: str, seen: str, number: int
) -> SignRequest:
    """The request of an authenticated user. ActionRequired if the account may not sign, or names no person."""
    if not user.may(ROLE):
        raise ActionRequired(
            f"{user.name} has the role {user.role} and may not sign", f"results are signed with the role {ROLE}"
        )
    if not (user.full_name and user.title):
        raise ActionRequired(
            f"the account {user.name} has no name and title of a person",
            f'mqi user edit {user.name} --full-name "Ann Example" --title "Medical Physicist"',
        )
    return SignRequest(decision, number, user.name, user.full_name, user.title, proof, through, seen)


def number_due(signature: str) -> int:
    """Which signature is due for a case with this state: the first or the second."""
    return 2 if signature == SignatureState.SECOND_DUE else 1


def shown_manifest(results: str) -> str:
    """SHA-256 of the manifest of delivered results, "" if they cannot be read: what a signature refers to."""
    try:
        return hashlib.sha256((Path(results) / MANIFEST).read_bytes()).hexdigest() if results else ""
    except OSError:
        return ""
