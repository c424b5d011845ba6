"""Sign delivered results: they are verified, the signature is written once, and all files become read-only."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.manifest import results_locked, verified_manifest
from mqi_communicator.results.documents import MANIFEST, VERDICT, VerdictDocument, utc
from mqi_communicator.results.signature import SIGNATURE, Decision, SignatureDocument, overrides
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.system.durable import sync_folder


@dataclass(frozen=True, slots=True)
class Signer:
    """Who decides what, and for what reason."""

    decision: Decision
    name: str
    role: str
    reason: str
    account: str  # on this computer


def sign_results(spool: Spool, delivered: Path, signer: Signer, now: float) -> SignatureDocument:
    """Write `signature.json` into delivered results and make all of it read-only.

    Permanent if the results are signed already, do not match their manifest, or a reason is missing although the
    decision overrides the verdict. ValueError if a name or a role is too short or too long.
    """
    with results_locked(spool):
        if found := signature_of(delivered):
            raise Permanent(f"the results are signed already: {found.summary}", "a signed version is locked")
        manifest = verified_manifest(delivered)
        verdict = VerdictDocument.model_validate_json((delivered / VERDICT).read_bytes()).word
        document = _document(manifest.case, verdict, signer, digest_of(delivered / MANIFEST), now)
        _write_once(delivered / SIGNATURE, (document.model_dump_json(by_alias=True, indent=2) + "\n").encode())
        for file in (MANIFEST, SIGNATURE, *(output.name for output in manifest.outputs)):
            path = delivered / file
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    return document


def _document(case: str, verdict: CheckOutcome, signer: Signer, manifest: str, now: float) -> SignatureDocument:
    against = overrides(signer.decision, verdict)
    if against and not signer.reason.strip():
        raise Permanent(
            f"the decision {signer.decision.value} overrides the verdict {verdict.value}", "give a --reason"
        )
    return SignatureDocument(
        case=case,
        decision=signer.decision,
        name=signer.name,
        role=signer.role,
        reason=signer.reason.strip(),
        signed=utc(now) or "",
        account=signer.account,
        verdict=verdict,
        overrides=against,
        manifest=manifest,
    )


def signature_of(delivered: Path) -> SignatureDocument | None:
    """The signature of delivered results, if there is one. Permanent if it does not match their manifest."""
    path = delivered / SIGNATURE
    if not path.is_file():
        return None
    try:
        document = SignatureDocument.model_validate_json(path.read_bytes())
        same = document.manifest == digest_of(delivered / MANIFEST)
    except (OSError, ValueError) as fault:
        raise Permanent(f"the signature cannot be read ({type(fault).__name__})", "check signature.json") from None
    if not same:
        raise Permanent(
            "the signature is not of these results: it names another manifest",
            "the results were changed after they were signed; judge the case again",
        )
    return document


def _write_once(path: Path, data: bytes) -> None:
    """Of two concurrent signatures one is kept: a hard link never replaces an existing file."""
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
        sync_folder(path.parent)
    except FileExistsError:
        raise Permanent("another user has just signed these results", "mqi show names the user") from None
    except OSError as error:
        raise DiskFull(f"the signature cannot be written: {error.strerror}", "check the results folder") from None
    finally:
        temporary.unlink(missing_ok=True)
