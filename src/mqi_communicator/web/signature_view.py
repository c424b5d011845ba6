"""What the page of a case and the API show of its signatures, and who may sign now."""

from __future__ import annotations

from dataclasses import dataclass

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.signing import DUE
from mqi_communicator.case.views import CaseView
from mqi_communicator.results.signature import SignatureDocument
from mqi_communicator.web.context import Queries
from mqi_communicator.web.signer import ROLE, number_due, shown_manifest
from mqi_communicator.web.users import User


@dataclass(frozen=True, slots=True)
class SignatureView:
    """The signatures of the newest results of a case. `seen` is the SHA-256 of the manifest.json that was read."""

    state: str
    signatures: tuple[SignatureDocument, ...]
    invalid: str  # why they do not match what they sign; "" if they do
    seen: str
    number: int  # which signature is due


def signature_view(case: CaseView, queries: Queries) -> SignatureView:
    """Read from the results folder."""
    try:
        found, invalid = queries.signatures_of(case), ""
    except Fault as fault:
        found, invalid = (), fault.reason
    except OSError as error:
        found, invalid = (), f"the results cannot be read: {error.strerror}"
    return SignatureView(case.signature, found, invalid, shown_manifest(case.results), number_due(case.signature))


def obstacle(case: CaseView, view: SignatureView, user: User) -> str:
    """Why this user cannot sign these results now, "" if nothing prevents it."""
    if case.signature not in DUE or not view.seen or case.step != "tidy":
        return "There is nothing to sign now." if not view.signatures else "These results are signed."
    if view.invalid:
        return f"These results cannot be signed: {view.invalid}."
    if case.superseded_by:
        return f"The plan has a newer revision, case {case.superseded_by}. Sign that one."
    if not user.may(ROLE):
        return f"Signing requires the role {ROLE}."
    if not (user.full_name and user.title):
        return "Your account has no name and title. The administrator sets them: mqi user edit."
    if not user.password:
        return "Your account has no password here, which signing requires. The administrator sets one: mqi user add."
    if any(signature.account == user.name for signature in view.signatures):
        return "The second signature must be that of another person."
    return ""
