"""Sign delivered results: they are verified, the signature is written once, and all files become read-only.

The same request may be carried out again after it was interrupted at any point: what exists already is kept.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mqi_communicator.case.faults import Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.case.signing import SignatureState, SignRequest
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.added_files import remove_leftover, replace, write_once
from mqi_communicator.flow.tasks.delivered_verdict import VERDICTS, read_verdict
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.manifest import results_locked, verified_manifest
from mqi_communicator.flow.tasks.report_files import PDF
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.report.stamp import Stamp, stamped
from mqi_communicator.results.documents import DELIVERY, MANIFEST, VERDICT, ManifestDocument, VerdictDocument, utc
from mqi_communicator.results.signature import (
    SIGNATURE,
    SIGNATURES,
    SIGNED_REPORTS,
    Decision,
    SignatureDocument,
    needs_reason,
    overrides,
    state_of,
)

_AGAIN = "reload the page and look at the results again"
_STATEMENT = "SIGNATURE OF A RECALCULATION. Nothing was delivered or measured: this is not evidence of delivery."
_OF_FRACTION = "SIGNATURE OF A DELIVERY RECORD: what the machine recorded, not what the patient received."
_OF_DOSE = "SIGNATURE OF THE DOSE OF A RECORDED FRACTION: it is not what the patient received."


@dataclass(frozen=True, slots=True)
class Signed:
    """Results that are signed. `digest` is the SHA-256 of the signature's file."""

    document: SignatureDocument
    digest: str
    state: SignatureState


def sign_results(
    spool: Spool, delivered: Path, request: SignRequest, reason: str, at: float, *, second: bool
) -> Signed:
    """Write the signature and the signed report beside delivered results, and make all of it read-only.

    `at`: epoch seconds of the request. `second`: an acceptance needs a second signature. Permanent if the results are
    signed already, changed since they were shown, do not match their manifest, or a reason is missing; DiskFull.
    """
    with results_locked(spool):
        found = signatures_of(delivered)
        manifest = verified_manifest(delivered)
        if digest_of(delivered / MANIFEST) != request.seen:
            raise Permanent("these are not the results that were shown", _AGAIN)
        document = _document(delivered, manifest, request, reason, at)
        place = request.number - 1
        if len(found) > place and _same(found[place], document):
            signed = found[place]
            remove_leftover(delivered / SIGNATURES[place])
        else:
            _check(found, document, second=second)
            signed = _with_report(delivered, document, at)
            write_once(delivered / SIGNATURES[place], _bytes(signed))
            found = (*found, signed)
        _lock(delivered, manifest)
        digest = digest_of(delivered / SIGNATURES[place])
    return Signed(signed, digest, state_of(found, second=second))


def _document(
    delivered: Path, manifest: ManifestDocument, request: SignRequest, reason: str, at: float
) -> SignatureDocument:
    """The signature, without the digest of the signed report. Permanent if it is not valid."""
    verdict, _ = read_verdict(delivered)
    decision = Decision(request.decision)
    if needs_reason(decision, verdict) and not reason.strip():
        raise Permanent(f"to {decision.value} a verdict {verdict.value} needs a reason", "give a reason")
    digests = {file.name: file.sha256 for file in manifest.outputs if file.name in (*VERDICTS, PDF)}
    digests |= {str(Kind.PLAN): file.sha256 for file in manifest.inputs if file.kind == Kind.PLAN}
    if request.number == 2:  # noqa: PLR2004 - the second signature
        digests[SIGNATURE] = digest_of(delivered / SIGNATURE) if (delivered / SIGNATURE).is_file() else ""
    try:
        return SignatureDocument(
            case=manifest.case,
            decision=decision,
            name=request.name,
            role=request.title,
            reason=reason.strip(),
            signed=utc(at) or "",
            account=request.user,
            verdict=verdict,
            overrides=overrides(decision, verdict),
            manifest=request.seen,
            number=2 if request.number == 2 else 1,  # noqa: PLR2004 - the second signature
            proof="token" if request.proof == "token" else "password",
            through=request.through,
            digests=dict(sorted(digests.items())),
        )
    except ValueError:  # pydantic's message would quote the name
        raise Permanent(
            "name and title of the account must have 2 to 80 characters, the reason at most 500",
            "correct the account: mqi user edit",
        ) from None


def _same(found: SignatureDocument, wanted: SignatureDocument) -> bool:
    """Whether the signature was made by the same request, which was interrupted afterwards."""
    kept = {name: digest for name, digest in found.digests.items() if name not in SIGNED_REPORTS}
    return found.model_copy(update={"digests": kept}) == wanted


def _check(found: tuple[SignatureDocument, ...], wanted: SignatureDocument, *, second: bool) -> None:
    """Permanent if results with these signatures cannot get this one."""
    if len(found) >= wanted.number:
        raise Permanent(f"the results are signed already: {found[-1].headline}", "a signed version is locked")
    if wanted.number == 1:
        return
    if not found or not second or found[0].decision is Decision.REJECT:
        raise Permanent("no second signature is due for these results", _AGAIN)
    first = found[0]
    if first.account == wanted.account or first.name.casefold() == wanted.name.casefold():
        raise Permanent("the second signature must be that of another person", f"the first is that of {first.who}")


def _with_report(delivered: Path, document: SignatureDocument, at: float) -> SignatureDocument:
    """Write the signed report, if there is a report; the signature with its digest."""
    place = document.number - 1
    source = delivered / (PDF if place == 0 else SIGNED_REPORTS[0])
    if PDF not in document.digests or not source.is_file():
        return document
    target = delivered / SIGNED_REPORTS[place]
    try:
        data = stamped(source.read_bytes(), _stamp(document, at, _statement(delivered)))
    except ValueError as fault:
        raise Permanent(str(fault), "generate the report again: mqi report") from None
    replace(target, data)
    digests = {**document.digests, target.name: digest_of(target)}
    return document.model_copy(update={"digests": dict(sorted(digests.items()))})


def _statement(delivered: Path) -> str:
    if (delivered / DELIVERY).is_file():
        return _OF_FRACTION
    verdict = VerdictDocument.model_validate_json((delivered / VERDICT).read_bytes())
    return _OF_DOSE if verdict.fraction else _STATEMENT


def _stamp(document: SignatureDocument, at: float, statement: str) -> Stamp:
    accepted = document.decision is Decision.ACCEPT
    when = datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
    shown = document.verdict.value.replace("_", " ").upper()
    against = " (the decision contradicts it)" if document.overrides else ""
    head = f"{'ACCEPTED' if accepted else 'REJECTED'} by {document.name}, {document.role}"
    facts = (
        ("decision", document.decision.value),
        ("verdict", f"{shown}{against}"),
        ("name", document.name),
        ("title", document.role),
        ("account", f"{document.account}, verified by {document.proof}, through the {document.through}"),
        ("time", when),
        ("reason", document.reason or "–"),
        ("case", document.case),
        ("SHA-256 of manifest.json", document.manifest),
        *((f"SHA-256 of {name}", digest) for name, digest in document.digests.items()),
    )
    return Stamp(
        number=document.number,
        accepted=accepted,
        headline=head,
        lines=(when, f"verdict {shown}{against}", *([f"reason: {document.reason}"] if document.reason else [])),
        facts=facts,
        title=f"Signature of case {document.case}",
        statement=statement,
        made=document.signed,
    )


def _lock(delivered: Path, manifest: ManifestDocument) -> None:
    names = (MANIFEST, *SIGNATURES, *SIGNED_REPORTS, *(output.name for output in manifest.outputs))
    for path in (delivered / name for name in names):
        with suppress(FileNotFoundError):  # not every report has a PDF, and not every case a second signature
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def _bytes(document: SignatureDocument) -> bytes:
    return (document.model_dump_json(by_alias=True, indent=2) + "\n").encode()
